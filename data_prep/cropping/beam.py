"""Cropping as an Apache Beam pipeline, for fields on many machines.

The pipeline does the tasks that the process pool does, and leaves the same bytes. Its
workers read the fields and write the crops at the paths that the command line has, so
that all of them must see those folders (a network file system, or a mounted bucket).
"""

import contextlib
import io
import pickle
import shlex
from collections.abc import Iterable, Sequence

from data_prep.cropping.field_crops import CropTask
from data_prep.cropping.field_results import FieldOutcome, read_outcome, write_field
from data_prep.cropping.pipeline import Runner
from tfvqgen.errors import UserError, require_package


def beam_runner(beam_args: str, workers: int) -> Runner:
    """Returns what does the tasks as one Beam pipeline.

    Args:
        beam_args: Options of Beam as on a command line; without ``--runner`` it is the
            DirectRunner with processes of this machine.
        workers: How many processes those are.

    Raises:
        UserError: Beam is not installed, or does not know its options' runner.
    """
    require_package("apache_beam", "beam")
    import apache_beam

    options = _options(beam_args, workers)

    def run(tasks: Sequence[CropTask]) -> Iterable[FieldOutcome]:
        if not tasks:
            return
        # Bytes, so that no coder has to know our classes.
        elements = [pickle.dumps(task) for task in tasks]
        with apache_beam.Pipeline(options=options) as pipeline:
            _ = (
                pipeline
                | "Fields" >> apache_beam.Create(elements)
                | "Spread" >> apache_beam.Reshuffle()
                | "Crop" >> apache_beam.Map(do_task)
            )
        for task in tasks:
            yield read_outcome(task)

    return run


def do_task(element: bytes) -> str:
    """Does one pickled task and returns the field's id."""
    return write_field(pickle.loads(element)).field_id


def _options(beam_args: str, workers: int):
    from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
    from apache_beam.runners.runner import create_runner

    words = _words(beam_args)
    if not any(word.partition("=")[0] == "--runner" for word in words):
        words = _direct_options(workers) + words
    usage = io.StringIO()
    try:
        # Beam itself would look at them only when the pipeline starts.
        with contextlib.redirect_stderr(usage):
            options = PipelineOptions(words)
            options.get_all_options()
            create_runner(options.view_as(StandardOptions).runner)
    except (ValueError, ImportError, SystemExit) as error:
        why = (usage.getvalue().strip().splitlines() or [str(error)])[-1]
        raise UserError(
            f"wrong --beam_args: expected options of Apache Beam ({why}). "
            f"Received: {beam_args}"
        ) from None
    return options


def _direct_options(workers: int) -> list[str]:
    return [
        "--runner=DirectRunner",
        "--direct_running_mode=multi_processing",
        f"--direct_num_workers={workers}",
        "--default_sdk_harness_log_level=WARNING",
    ]


def _words(beam_args: str) -> list[str]:
    try:
        return shlex.split(beam_args)
    except ValueError as error:
        raise UserError(
            f"wrong --beam_args: expected words with paired quotes ({error}). "
            f"Received: {beam_args}"
        ) from None
