"""A folder of fields becomes a folder of crops, with tables and contact sheets.

``crops.csv`` and ``crops.json`` are written when all fields are finished, in the order
of the fields; until then ``fields/`` contains the results so far.
"""

import collections
import contextlib
import dataclasses
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tqdm import tqdm

from data_prep import processes
from data_prep.cropping import crop_quality, crop_settings, field_crops, overlays
from data_prep.cropping.crop_settings import CropSettings
from data_prep.cropping.field_crops import CropTask, FieldOutcome
from data_prep.fields import FieldFolder
from tfvqgen.data.crops import TABLE, Crop, write_crops
from tfvqgen.errors import DataError, UserError
from tfvqgen.files import LOCK, exclusive, remove_temporary_files, write_table

BAD_FIELDS = "bad_fields.csv"
_FOLDERS = (field_crops.IMAGES, field_crops.RESULTS, overlays.OVERLAYS)

# Does all tasks and yields their outcomes in the same order.
Runner = Callable[[Sequence[CropTask]], Iterable[FieldOutcome]]


@dataclasses.dataclass(frozen=True)
class CropSummary:
    """The contents of a finished folder."""

    num_fields: int  # Fields that were read.
    num_crops: int  # One for each nucleus.
    num_accepted: int
    reasons: dict[str, int]  # Crops rejected for each reason; a crop may have several.
    bad_fields: dict[str, str]  # Error by field that could not be read.


def local_runner(workers: int) -> Runner:
    """Returns a runner that does the tasks in processes of this machine."""
    return lambda tasks: processes.in_parallel(field_crops.write_field, tasks, workers)


def crop_fields(
    folder: FieldFolder,
    output: str | os.PathLike,
    settings: CropSettings,
    *,
    runner: Runner,
    masks: str | os.PathLike | None = None,
    max_bad_fields: int = 0,
    num_overlays: int = 0,
    workers: int = 1,
) -> CropSummary:
    """Cuts the crops of all fields; continues where an earlier run was interrupted.

    The same fields and settings give the same bytes, with any runner and any number of
    interruptions.

    Args:
        folder: The fields.
        output: A new folder, or one with crops that were cut with the same settings. If
            only the limits differ, they are applied to the crops in the folder.
        settings: How to cut.
        runner: Does the tasks.
        masks: A folder with label images of the fields.
        max_bad_fields: Number of unreadable fields that are left out.
        num_overlays: Number of fields whose nuclei and crops are drawn.
        workers: Number of processes that draw them.

    Raises:
        UserError: Other settings, other fields, or too many unreadable fields.
    """
    output = Path(output)
    folders = os.fspath(output), None if masks is None else os.fspath(masks)
    tasks = [CropTask(field, settings, *folders) for field in folder.fields]
    with exclusive(output, "the folder for crops"):
        _prepare_folder(output, settings, folder)
        pending = [task for task in tasks if not field_crops.is_finished(task)]
        is_complete = (output / TABLE).exists() and not pending
        if not is_complete:
            (output / TABLE).unlink(missing_ok=True)
        _crop_pending(pending, runner, len(tasks), max_bad_fields)
        rows, bad = _collect(tasks, settings)
        good = [task for task in tasks if task.field.field_id not in bad]
        _draw_overlays(good, num_overlays, workers)
        if not is_complete:
            _write_tables(output, rows, bad, folder, settings)
    rejected = [row.reason for row in rows if not row.accepted]
    reasons = collections.Counter(
        kind for reason in rejected for kind in crop_quality.reason_kinds(reason)
    )
    return CropSummary(
        num_fields=len(good),
        num_crops=len(rows),
        num_accepted=len(rows) - len(rejected),
        reasons=dict(reasons.most_common()),
        bad_fields=bad,
    )


def _prepare_folder(output: Path, settings: CropSettings, folder: FieldFolder) -> None:
    """Refuses a folder with other contents; removes what earlier runs left over."""
    file_name = crop_settings.FILE_NAME
    names = {path.name for path in output.iterdir()} - {LOCK}
    others = [name for name in names if not name.startswith(f".{file_name}.")]
    if others and file_name not in names:
        raise UserError(
            "the folder contains other files: expected a new or empty folder, or one "
            f"with crops and {file_name}. Received: output={output}"
        )
    finished = field_crops.finished_fields(output)
    known = {field.field_id for field in folder.fields}
    unknown = [field_id for field_id in finished if field_id not in known]
    if unknown:
        raise UserError(
            "the folder contains crops of other fields: expected a new folder, or the "
            f"fields of these crops. Received: {output} with crops of {len(unknown)} "
            f"fields that are not in {folder.folder}, for example {unknown[0]}"
        )
    if not finished or crop_settings.has_other_limits(output, settings):
        # The table and the overlays depend on the limits.
        (output / TABLE).unlink(missing_ok=True)
        for path in (output / overlays.OVERLAYS).glob("*.png"):
            path.unlink()
        crop_settings.write_settings(output, settings)
    remove_temporary_files(output)
    for name in _FOLDERS:
        (output / name).mkdir(exist_ok=True)
        remove_temporary_files(output / name)
    # Fields with an error are tried again.
    for path in (output / field_crops.RESULTS).glob(f"*{field_crops.ERROR_SUFFIX}"):
        path.unlink()


def _crop_pending(
    pending: Sequence[CropTask], runner: Runner, total: int, max_bad_fields: int
) -> None:
    """Does the pending tasks; stops as soon as there are too many bad fields."""
    for task in pending:
        field_crops.remove_field(task)
        overlays.overlay_path(task).unlink(missing_ok=True)
    num_bad = num_crops = 0
    outcomes = iter(runner(pending))
    done = total - len(pending)
    with (
        tqdm(total=total, initial=done, unit="field", desc="cropping") as progress,
        contextlib.ExitStack() as stack,
    ):
        # Closing a generator stops its processes, also after an error.
        stack.callback(getattr(outcomes, "close", lambda: None))
        for outcome in outcomes:
            num_crops += outcome.num_crops
            num_bad += bool(outcome.error)
            if num_bad > max_bad_fields:
                raise DataError(
                    f"too many bad fields: expected at most {max_bad_fields} "
                    f"(--max_bad_fields). Received: {num_bad}, the last is "
                    f"{outcome.field_id}: {outcome.error}"
                )
            if outcome.error:
                line = f"bad field {outcome.field_id}: {outcome.error}"
                progress.write(line, file=sys.stderr)
            progress.set_postfix(crops=num_crops, bad=num_bad, refresh=False)
            progress.update()


def _collect(
    tasks: Sequence[CropTask], settings: CropSettings
) -> tuple[list[Crop], dict[str, str]]:
    """Returns all rows in order, accepted or rejected, and the errors of bad fields."""
    rows, bad = [], {}
    for task in tasks:
        if error := field_crops.read_error(task):
            bad[task.field.field_id] = error
            continue
        for row in field_crops.read_rows(task):
            rows.append(crop_quality.with_decision(row, settings.thresholds))
    if len(bad) == len(tasks):
        name, error = next(iter(bad.items()))
        raise DataError(
            "no field could be read: expected at least one. "
            f"Received: {len(bad)} unreadable fields, the first is {name}: {error}"
        )
    return rows, bad


def _draw_overlays(tasks: Sequence[CropTask], count: int, workers: int) -> None:
    """Draws a few fields, evenly spaced over all."""
    count = min(count, len(tasks))
    chosen = [tasks[int((i + 0.5) * len(tasks) / count)] for i in range(count)]
    missing = [task for task in chosen if not overlays.overlay_path(task).exists()]
    if missing:
        drawn = processes.in_parallel(overlays.write_overlay, missing, workers)
        collections.deque(
            tqdm(drawn, total=len(missing), unit="field", desc="drawing overlays"), 0
        )


def _write_tables(
    output: Path, rows: Sequence[Crop], bad, folder: FieldFolder, settings: CropSettings
) -> None:
    """Writes the sheets and tables; ``crops.csv``, which completes the folder, last."""
    overlays.write_sheets(output, rows, settings.channels)
    (output / BAD_FIELDS).unlink(missing_ok=True)
    if bad:
        write_table(output / BAD_FIELDS, ("field", "reason"), bad.items())
    write_crops(
        output,
        rows,
        channels=settings.channels,
        dtype=settings.dtype,
        credit=folder.credit,
        labels_ordered=folder.labels_ordered,
    )
