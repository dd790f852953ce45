"""A folder of fields -> a folder of crops: which fields are to be done, and the tables.

``crops.csv`` and ``crops.json`` are written when every field is done, in the order of
the fields; until then ``fields/`` holds what has been done.
"""

import collections
import contextlib
import csv
import dataclasses
import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from data_prep import processes
from data_prep.cropping import crop_quality, crop_settings, field_results, overlays
from data_prep.cropping.crop_settings import CropSettings
from data_prep.cropping.field_crops import CropTask
from data_prep.cropping.field_results import FieldOutcome
from data_prep.fields import FieldFolder
from tfvqgen.data.crops import TABLE, Crop, write_crops
from tfvqgen.errors import DataError, UserError
from tfvqgen.files import LOCK, exclusive, whole_file

BAD_FIELDS = "bad_fields.csv"
_FOLDERS = (field_results.IMAGES, field_results.RESULTS, overlays.OVERLAYS)
# Of files that are written whole or not at all, while they are not whole.
_TEMPORARY = tuple(
    f".{name}."
    for name in (
        crop_settings.FILE_NAME,
        BAD_FIELDS,
        TABLE,
        "crops.json",
        overlays.SHEET,
        overlays.REJECTED_SHEET,
    )
)

# Does all tasks and says what became of them, in their order.
Runner = Callable[[Sequence[CropTask]], Iterable[FieldOutcome]]


@dataclasses.dataclass(frozen=True)
class Summary:
    """What a finished folder holds.

    Attributes:
        num_fields: Fields that were read.
        num_crops: One for each nucleus.
        num_accepted: How many of them take part.
        reasons: How many crops each reason rejects; a crop may have several.
        bad_fields: Field -> why it could not be read.
    """

    num_fields: int
    num_crops: int
    num_accepted: int
    reasons: dict[str, int]
    bad_fields: dict[str, str]


def local_runner(workers: int) -> Runner:
    """Returns what does the tasks in processes of this machine."""
    return functools.partial(
        processes.in_parallel, field_results.write_field, workers=workers
    )


def crop_fields(
    folder: FieldFolder,
    output: str | os.PathLike,
    settings: CropSettings,
    *,
    runner: Runner,
    masks: str | os.PathLike | None = None,
    max_bad_fields: int = 0,
    overlays: int = 0,
    workers: int = 1,
) -> Summary:
    """Cuts the crops of all fields; goes on where an earlier run has stopped.

    Equal fields and settings give equal files, byte by byte, whatever the runner and
    however often it was interrupted.

    Args:
        folder: The fields.
        output: A folder that is new, or holds crops cut with the same settings; by
            other limits they are judged again, and the tables written anew.
        settings: How to cut.
        runner: Who does the work.
        masks: A folder with label images of the fields.
        max_bad_fields: How many fields may be left out that cannot be read.
        overlays: How many fields to draw with their nuclei and boxes.
        workers: How many processes draw them.

    Raises:
        UserError: Other settings, other fields, or too many bad fields.
    """
    output = Path(output)
    mask_folder = None if masks is None else os.fspath(masks)
    tasks = [
        CropTask(field, settings, os.fspath(output), mask_folder)
        for field in folder.fields
    ]
    with exclusive(output, "the folder for crops"):
        _refuse_other_folders(output)
        done = field_results.fields_done(output)
        crop_settings.freeze(output, settings, begun=bool(done))
        _refuse_other_fields(output, done, folder)
        for name in _FOLDERS:
            (output / name).mkdir(exist_ok=True)
        _remove_leftovers(output)
        field_results.forget_errors(output)
        if crop_settings.judged_otherwise(output, settings):
            _forget_judgements(output)
            crop_settings.write(output, settings)
        pending = [task for task in tasks if not field_results.is_done(task)]
        finished = (output / TABLE).exists() and not pending
        if not finished:
            (output / TABLE).unlink(missing_ok=True)
        _do(pending, runner, len(tasks), max_bad_fields)
        rows, bad = _collect(tasks, settings)
        good = [task for task in tasks if task.field.field_id not in bad]
        if not good:
            name, error = next(iter(bad.items()))
            raise DataError(
                "no field could be read: expected one at least. "
                f"Received: {len(bad)}, the first is {name}: {error}"
            )
        _draw_overlays(good, overlays, workers)
        if not finished:
            _write_tables(output, rows, bad, folder, settings)
    return _summary(len(good), rows, bad)


def _do(
    pending: Sequence[CropTask], runner: Runner, total: int, max_bad_fields: int
) -> None:
    """Does what is pending, and stops at the first bad field too many."""
    for task in pending:
        _forget(task)
    num_bad = num_crops = 0
    with (
        tqdm(
            total=total, initial=total - len(pending), unit="field", desc="cropping"
        ) as progress,
        _closing(iter(runner(pending))) as outcomes,
    ):
        for outcome in outcomes:
            num_crops += outcome.num_crops
            num_bad += bool(outcome.error)
            if num_bad > max_bad_fields:
                raise DataError(
                    f"too many bad fields: expected at most {max_bad_fields} "
                    f"(--max_bad_fields leaves out so many). Received: {num_bad}, the "
                    f"last is {outcome.field_id}: {outcome.error}"
                )
            if outcome.error:
                line = f"bad field {outcome.field_id}: {outcome.error}"
                progress.write(line, file=sys.stderr)
            progress.set_postfix(crops=num_crops, bad=num_bad, refresh=False)
            progress.update()


@contextlib.contextmanager
def _closing(outcomes: Iterator[FieldOutcome]) -> Iterator[Iterator[FieldOutcome]]:
    """Stops the runner's processes however the body ends."""
    try:
        yield outcomes
    finally:
        if hasattr(outcomes, "close"):
            outcomes.close()


def _forget(task: CropTask) -> None:
    """Removes what an earlier state of a field has left."""
    field_results.forget(task)
    _overlay_path(task).unlink(missing_ok=True)


def _refuse_other_folders(output: Path) -> None:
    """Refuses folders that no run has made, before anything in them is touched."""
    settings = crop_settings.FILE_NAME
    present = [path.name for path in output.iterdir() if path.name != LOCK]
    others = [name for name in present if not name.startswith(f".{settings}.")]
    if others and settings not in present:
        raise UserError(
            f"the folder holds something else: expected a new or empty one, or one of "
            f"crops with {settings}. Received: output={output}"
        )


def _remove_leftovers(output: Path) -> None:
    """Removes the temporary files of processes that were killed."""
    for folder in (output, *(output / name for name in _FOLDERS)):
        for path in folder.glob(".*"):
            ours = path.name.startswith(_TEMPORARY) or folder != output
            # Notebooks leave hidden folders beside pictures that were looked at.
            if ours and not path.is_dir():
                path.unlink()


def _refuse_other_fields(output: Path, done: list[str], folder: FieldFolder) -> None:
    known = {field.field_id for field in folder.fields}
    strangers = [field_id for field_id in done if field_id not in known]
    if strangers:
        raise UserError(
            "the folder holds crops of other fields: expected a new folder, or the "
            f"fields they are of. Received: {output} with {len(strangers)} fields that "
            f"{folder.folder} has not, {strangers[0]} for one"
        )


def _forget_judgements(output: Path) -> None:
    (output / TABLE).unlink(missing_ok=True)
    for path in (output / overlays.OVERLAYS).glob("*.png"):
        path.unlink()


def _collect(
    tasks: Sequence[CropTask], settings: CropSettings
) -> tuple[list[Crop], dict[str, str]]:
    """Returns all rows in order and judged, and why fields could not be read."""
    rows: list[Crop] = []
    bad: dict[str, str] = {}
    for task in tasks:
        field_id = task.field.field_id
        if field_results.error_path(task.output, field_id).exists():
            bad[field_id] = field_results.read_outcome(task).error
        else:
            rows.extend(
                crop_quality.judged(row, settings.thresholds)
                for row in field_results.read_rows(task.output, field_id)
            )
    return rows, bad


def _draw_overlays(tasks: Sequence[CropTask], count: int, workers: int) -> None:
    """Draws a few fields, spread over all."""
    count = min(count, len(tasks))
    if not count:
        return
    step = len(tasks) / count
    chosen = [tasks[int((place + 0.5) * step)] for place in range(count)]
    missing = [task for task in chosen if not _overlay_path(task).exists()]
    drawn = processes.in_parallel(overlays.write_overlay, missing, workers)
    for _ in tqdm(drawn, total=len(missing), unit="field", desc="drawing overlays"):
        pass


def _overlay_path(task: CropTask) -> Path:
    return overlays.overlay_path(task.output, task.field.field_id)


def _write_tables(
    output: Path,
    rows: Sequence[Crop],
    bad: dict[str, str],
    folder: FieldFolder,
    settings: CropSettings,
) -> None:
    """Writes what lists the crops; ``crops.csv``, which makes them count, last."""
    overlays.write_sheets(output, rows, settings.channels)
    (output / BAD_FIELDS).unlink(missing_ok=True)
    if bad:
        with whole_file(output / BAD_FIELDS, "w") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("field", "reason"))
            writer.writerows(bad.items())
    write_crops(
        output,
        rows,
        channels=settings.channels,
        dtype=settings.dtype,
        credit=folder.credit,
        labels_ordered=folder.labels_ordered,
    )


def _summary(num_fields: int, rows: Sequence[Crop], bad: dict[str, str]) -> Summary:
    reasons = collections.Counter(
        reason
        for row in rows
        if not row.accepted
        for reason in crop_quality.reason_kinds(row.reason)
    )
    return Summary(
        num_fields=num_fields,
        num_crops=len(rows),
        num_accepted=sum(row.accepted for row in rows),
        reasons=dict(reasons.most_common()),
        bad_fields=bad,
    )
