"""Writes a trained model as a version that TensorFlow Serving loads."""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
from tqdm import tqdm

from tfvqgen import files
from tfvqgen.data.tfrecords import as_os_error
from tfvqgen.errors import DataError, UserError, require_in_range
from tfvqgen.export.compact import compact
from tfvqgen.export.examples import WARM_UP, encode_request, example_rows
from tfvqgen.export.model_card import model_card, validation_metrics
from tfvqgen.export.signatures import Signatures
from tfvqgen.export.verify import verify
from tfvqgen.generation.generator import Generator
from tfvqgen.generation.model_info import ModelInfo
from tfvqgen.generation.saved_model import ABOUT, GRAPH, version_names, versions
from tfvqgen.training.workdir import Workdir

_MODEL_NAME = "tfvqgen"
# Servers ignore folders whose names are not numbers.
_UNFINISHED = ".exporting-"
_LAST_VERSION = 2**63 - 1


def export(
    workdir: str | os.PathLike,
    export_dir: str | os.PathLike,
    version: int | None = None,
) -> Path:
    """Exports the trained models of a workdir.

    Args:
        workdir: A workdir of train.py with all stages trained.
        export_dir: The folder of versions, which is created if needed.
        version: Number of the new version. Defaults to the largest number plus 1. If
            the newest version contains the same models, it is returned instead.

    Returns:
        The folder of the version, ``<export_dir>/<version>``.

    Raises:
        UserError: A stage is not trained, the version exists, or export_dir is a
            version itself.
        DataError: Something in the workdir is missing or damaged.
    """
    generator = Generator.of_workdir(workdir)
    info = generator.model_info
    card = model_card(info, validation_metrics(Workdir(workdir), info))
    return export_generator(generator, export_dir, version, card)


def export_generator(
    generator: Generator,
    export_dir: str | os.PathLike,
    version: int | None = None,
    card: str | None = None,
) -> Path:
    """Exports models; see :func:`export`. The default card has no metrics."""
    files.require_plain_path(export_dir)
    info = generator.model_info
    card = model_card(info, {}) if card is None else card
    export_dir = Path(export_dir)
    if (export_dir / GRAPH).exists():
        raise UserError(
            "export_dir is a version: expected the folder that contains the versions. "
            f"Received: {export_dir}"
        )
    with files.exclusive(export_dir, "the export folder"):
        for newest in versions(export_dir)[-1:] if version is None else ():
            about = export_dir / str(newest) / ABOUT
            if about.is_file() and files.read_json(about) == _as_read(info):
                return export_dir / str(newest)
        target = export_dir / str(_new_version(export_dir, version))
        with _whole_folder(target) as folder, tqdm(total=3, unit="step") as progress:
            progress.set_description("building graphs")
            signatures = Signatures(generator)
            progress.update()
            progress.set_description("saving")
            _save(signatures, info, card, folder)
            progress.update()
            progress.set_description("checking")
            _check(folder)
            progress.update()
    return target


def _new_version(export_dir: Path, version: int | None) -> int:
    taken = version_names(export_dir)
    if version is None:
        return max(taken, default=0) + 1
    valid = 1 <= version <= _LAST_VERSION
    require_in_range("version", version, valid, f"1 to {_LAST_VERSION}")
    if version in taken:
        raise UserError(
            "the version exists, and a server may use it: expected another number. "
            f"Received: {export_dir / str(version)}"
        )
    return version


@contextlib.contextmanager
def _whole_folder(target: Path) -> Iterator[Path]:
    """Yields a hidden folder, which is renamed to `target` if the body succeeds.

    A server that watches the folder of versions sees the whole version or nothing.
    """
    for left in target.parent.glob(f"{_UNFINISHED}*"):
        # A killed run left it; the caller holds the lock, so nobody else uses it.
        shutil.rmtree(left)
    with files.blamed_on(target, temporary=target.parent / _UNFINISHED):
        folder = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=target.parent))
        try:
            yield folder
            _sync(folder)
            os.rename(folder, target)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    files.sync_folder(target.parent)


def _sync(folder: Path) -> None:
    """Writes all files to disk, and lets others read the folder."""
    for path in [*folder.rglob("*"), folder]:
        if path.is_dir():
            files.sync_folder(path)
        else:
            with open(path, "rb") as file:
                os.fsync(file.fileno())
    # Only its owner can read a temporary folder; the server may be another user.
    folder.chmod(folder.parent.stat().st_mode & 0o777 | 0o700)


def _save(signatures: Signatures, info: ModelInfo, card: str, folder: Path) -> None:
    module = tf.Module()
    module.weights = signatures.weights
    about = json.dumps(info.to_json(), indent=2, sort_keys=True, ensure_ascii=False)
    with tempfile.TemporaryDirectory() as scratch:
        module.texts = []
        for name, text in (
            (Path(ABOUT).name, f"{about}\n"),
            ("labels.txt", "".join(f"{label}\n" for label in info.labels)),
            ("model_card.md", card),
        ):
            path = Path(scratch, name)
            path.write_text(text, encoding="utf-8")
            module.texts.append(tf.saved_model.Asset(str(path)))
        with as_os_error(folder):
            tf.saved_model.save(module, str(folder), signatures=signatures.functions)
    compact(folder)
    # Servers replay these requests, one row for each signature, when they load it.
    (folder / WARM_UP).parent.mkdir()
    with tf.io.TFRecordWriter(str(folder / WARM_UP)) as writer:
        for name, function in signatures.functions.items():
            names = [spec.name for spec in function.input_signature]
            rows = example_rows(_as_read(info), names, 1)
            writer.write(encode_request(_MODEL_NAME, name, rows))


def _as_read(info: ModelInfo) -> dict[str, Any]:
    """Returns the description as it is read from ``about.json``."""
    return json.loads(json.dumps(info.to_json()))


def _check(folder: Path) -> None:
    """Loads the export as a server does, and replays the warm-up."""
    for check in verify(folder, only="warm_up")["checks"]:
        if not check["ok"]:
            raise DataError(
                "the export does not work: expected it to load and to answer. "
                f"Received: {check['name']}: {check['detail']}"
            )
