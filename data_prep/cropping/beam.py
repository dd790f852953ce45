"""Cropping as an Apache Beam pipeline, for fields on many machines.

The pipeline does the same tasks as the processes of one machine and leaves the same
bytes. All workers must see the folders at the same paths (a network file system, or a
mounted bucket).
"""

import contextlib
import io
import pickle
import shlex
from collections.abc import Iterable, Sequence

from data_prep.cropping import field_crops
from data_prep.cropping.field_crops import CropTask, FieldOutcome
from tfvqgen.errors import UserError, require_package


def beam_runner(beam_args: str, workers: int):
    """Returns a runner that does the tasks as one Beam pipeline.

    Args:
        beam_args: Options of Beam as on a command line. Without ``--runner`` it is the
            DirectRunner with processes of this machine.
        workers: Number of these processes.

    Raises:
        UserError: Beam is not installed, or refuses the options.
    """
    require_package("apache_beam", "beam")
    import apache_beam

    options = _options(beam_args, workers)

    def run(tasks: Sequence[CropTask]) -> Iterable[FieldOutcome]:
        if not tasks:
            return
        # As bytes, so that Beam needs no coder for our classes.
        elements = [pickle.dumps(task) for task in tasks]
        with apache_beam.Pipeline(options=options) as pipeline:
            _ = (
                pipeline
                | "Fields" >> apache_beam.Create(elements)
                | "Spread" >> apache_beam.Reshuffle()
                | "Crop" >> apache_beam.Map(crop_pickled)
            )
        yield from map(field_crops.read_outcome, tasks)

    return run


def crop_pickled(element: bytes) -> str:
    """Does one pickled task and returns the id of its field."""
    return field_crops.write_field(pickle.loads(element)).field_id  # noqa: S301


def _options(beam_args: str, workers: int):
    from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
    from apache_beam.runners.runner import create_runner

    usage = io.StringIO()
    try:
        words = shlex.split(beam_args)
        if not any(word.partition("=")[0] == "--runner" for word in words):
            # The options on the command line come last and take precedence.
            words = [
                "--runner=DirectRunner",
                "--direct_running_mode=multi_processing",
                f"--direct_num_workers={workers}",
                "--default_sdk_harness_log_level=WARNING",
                *words,
            ]
        # Beam itself would read them only when the pipeline starts.
        with contextlib.redirect_stderr(usage):
            options = PipelineOptions(words)
            options.get_all_options()
            create_runner(options.view_as(StandardOptions).runner)
    except (ValueError, ImportError, SystemExit) as error:
        reason = (usage.getvalue().strip().splitlines() or [str(error)])[-1]
        raise UserError(
            f"wrong --beam_args: expected options of Apache Beam ({reason}). "
            f"Received: {beam_args}"
        ) from None
    return options
