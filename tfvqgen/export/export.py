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

from tfvqgen.data.tfrecords import as_os_error
from tfvqgen.errors import DataError, UserError, require_in_range
from tfvqgen.export.compact import compact
from tfvqgen.export.model_card import held_out, model_card
from tfvqgen.export.signatures import Signatures
from tfvqgen.export.verification.examples import example_rows
from tfvqgen.export.verification.wire import encode_request
from tfvqgen.export.verify import verify
from tfvqgen.files import (
    blamed_on,
    exclusive,
    read_json,
    require_plain_path,
    sync_folder,
)
from tfvqgen.generation.generator import Generator
from tfvqgen.generation.model_info import ModelInfo
from tfvqgen.generation.saved_model import ABOUT, GRAPH, version_names, versions
from tfvqgen.training.workdir import Workdir

WARM_UP = "assets.extra/tf_serving_warmup_requests"
_MODEL_NAME = "tfvqgen"
# Servers pass over names that are not numbers.
_TEMPORARY = ".exporting-"
_LAST_VERSION = 2**63 - 1


def export(
    workdir: str | os.PathLike,
    export_dir: str | os.PathLike,
    version: int | None = None,
) -> Path:
    """Exports the trained models of a workdir.

    Args:
        workdir: Of train.py, all stages trained.
        export_dir: Folder of versions; made if need be.
        version: Its number; None is one more than the largest there, unless that is of
            exactly these models: then nothing is made.

    Returns:
        The version's folder, ``<export_dir>/<version>``.

    Raises:
        UserError: A stage is not trained, the version exists, or export_dir is one.
        DataError: Something in the workdir is missing or damaged.
    """
    opened = Workdir(workdir)
    generator = Generator.of_workdir(workdir)
    card = model_card(generator.model_info, held_out(opened, generator.model_info))
    return export_generator(generator, export_dir, version, card)


def export_generator(
    generator: Generator,
    export_dir: str | os.PathLike,
    version: int | None = None,
    card: str | None = None,
) -> Path:
    """Exports models; see :func:`export`.

    Args:
        generator: The models.
        export_dir: Folder of versions; made if need be.
        version: Its number; None is one more than the largest there.
        card: The model card; by default one without figures.
    """
    require_plain_path(export_dir)
    if card is None:
        card = model_card(generator.model_info, {})
    export_dir = Path(export_dir)
    if (export_dir / GRAPH).exists():
        raise UserError(
            "a version of an export: expected the folder of versions that it is in. "
            f"Received: {export_dir}"
        )
    with exclusive(export_dir, "the export folder"):
        if version is None and (
            newest := _same_models(export_dir, generator.model_info)
        ):
            return newest
        target = export_dir / str(_version(export_dir, version))
        with _appearing(target) as folder, tqdm(total=3, unit="step") as progress:
            progress.set_description("making graphs")
            signatures = Signatures(generator)
            progress.update()
            progress.set_description("saving")
            _save(signatures, generator.model_info, card, folder)
            progress.update()
            progress.set_description("trying it")
            _try(folder)
            progress.update()
            progress.set_description("exported")
    return target


def _same_models(export_dir: Path, about: ModelInfo) -> Path | None:
    """Returns the newest version if it is of these models."""
    for number in versions(export_dir)[-1:]:
        newest = export_dir / str(number)
        if (newest / ABOUT).is_file() and read_json(newest / ABOUT) == _as_read(about):
            return newest
    return None


def _version(export_dir: Path, version: int | None) -> int:
    taken = version_names(export_dir)
    if version is None:
        return max(taken, default=0) + 1
    fits = 1 <= version <= _LAST_VERSION
    require_in_range("version", version, fits, f"1 to {_LAST_VERSION}")
    if version in taken:
        raise UserError(
            "the version exists, and a server may have it: expected another number. "
            f"Received: {export_dir / str(version)}"
        )
    return version


@contextlib.contextmanager
def _appearing(target: Path) -> Iterator[Path]:
    """Yields a hidden neighbour of a folder, which becomes it if all goes well.

    A server that watches the folder of versions sees the new one whole or not at all.
    """
    for left in target.parent.glob(f"{_TEMPORARY}*"):
        # Of a killed run; the caller has the lock, so it is nobody's.
        shutil.rmtree(left)
    prefix = target.parent / _TEMPORARY
    with blamed_on(target, temporary=prefix):
        folder = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=target.parent))
        try:
            yield folder
            _settle(folder)
            os.rename(folder, target)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    sync_folder(target.parent)


def _settle(folder: Path) -> None:
    """Makes sure that files are on disk, and readable as the folder above is."""
    for path in [*folder.rglob("*"), folder]:
        if path.is_dir():
            sync_folder(path)
        else:
            with open(path, "rb") as file:
                os.fsync(file.fileno())
    # Temporary folders are their maker's alone; servers are often somebody else.
    mode = folder.parent.stat().st_mode & 0o777
    folder.chmod(mode | 0o700)


def _save(signatures: Signatures, about, card: str, folder: Path) -> None:
    module = tf.Module()
    module.weights = signatures.weights
    with tempfile.TemporaryDirectory() as scratch:
        texts = {
            Path(ABOUT).name: json.dumps(
                about.to_json(), indent=2, sort_keys=True, ensure_ascii=False
            )
            + "\n",
            "labels.txt": "".join(f"{label}\n" for label in about.labels),
            "model_card.md": card,
        }
        module.texts = []
        for name, text in texts.items():
            path = Path(scratch, name)
            path.write_text(text, encoding="utf-8")
            module.texts.append(tf.saved_model.Asset(str(path)))
        with as_os_error(folder):
            tf.saved_model.save(module, str(folder), signatures=signatures.functions)
    compact(folder)
    _write_warm_up(folder / WARM_UP, about, signatures)


def _write_warm_up(path: Path, about, signatures: Signatures) -> None:
    """Writes a request of one row for each signature, which servers replay."""
    path.parent.mkdir()
    plain = _as_read(about)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for name, function in signatures.functions.items():
            names = [spec.name for spec in function.input_signature]
            rows = example_rows(plain, names, 1)
            writer.write(encode_request(_MODEL_NAME, name, rows))


def _as_read(about: ModelInfo) -> dict[str, Any]:
    """Returns what reading ``about.json`` gives."""
    return json.loads(json.dumps(about.to_json()))


def _try(folder: Path) -> None:
    """Loads what was written, as a server does, and replays the warm-up."""
    for check in verify(folder, only="warm_up")["checks"]:
        if not check["ok"]:
            raise DataError(
                "what was written does not work: expected it to load and to answer. "
                f"Received: {check['name']}: {check['detail']}"
            )
