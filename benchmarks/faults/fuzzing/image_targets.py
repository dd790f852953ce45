"""Images and masks of fields, whoever wrote them."""

import random
from collections.abc import Callable
from pathlib import Path

from benchmarks.faults.fuzzing.judging import Inputs
from benchmarks.faults.fuzzing.pictures import FuzzedPicture, mutated_picture, noise
from tfvqgen.errors import DataError


def _decoder(kind: str) -> Callable[[Path], Inputs]:
    def make(folder: Path) -> Inputs:
        from data_prep.images import field_images

        def read(data: bytes) -> None:
            field_images.decode_image(data)

        return FuzzedPicture(kind, read)

    return make


def _stored(folder: Path) -> Inputs:
    """PNGs of crops, which TensorFlow decodes."""
    from tfvqgen.data.images import read_image

    def read(data: bytes) -> None:
        path = folder / "crop.png"
        path.write_bytes(data)
        read_image(path)

    return FuzzedPicture("png", read)


class _Masks:
    """Label images of other tools, each for a field."""

    def __init__(self, folder: Path):
        import io

        import tifffile

        from tests.data_prep.png_writer import write_png

        self._folder = folder
        self._whole = {
            "8.png": write_png(noise((8, 8, 1), "uint8") % 5),
            "16.png": write_png(noise((16, 16, 1), "uint16") % 300),
        }
        for dtype in ("uint32", "int64", "int16"):
            file = io.BytesIO()
            tifffile.imwrite(file, (noise((8, 8), "uint8") % 7).astype(dtype))
            self._whole[f"{dtype}.tif"] = file.getvalue()

    def draw(self, rng: random.Random) -> Callable[[], object]:
        """Damages a mask."""
        from data_prep.images.field_images import read_mask_file
        from data_prep.segmentation.masks import labels_of_mask, nuclei_of_cells

        name = rng.choice(list(self._whole))
        path = self._folder / name
        path.write_bytes(mutated_picture(self._whole[name], rng))

        def read() -> None:
            labels = labels_of_mask(read_mask_file(path), (8, 8))
            if labels.shape != (8, 8):
                raise AssertionError("a mask of another shape")
            nuclei_of_cells(labels, labels)

        return read


class _MaskArrays:
    """Arrays that are taken for masks."""

    def __init__(self, folder: Path):
        del folder

    def draw(self, rng: random.Random) -> Callable[[], object]:
        """Makes an array of any type and shape."""
        import numpy as np

        from data_prep.segmentation.masks import labels_of_mask

        dtypes = ("bool", "uint8", "int8", "uint16", "int32", "uint32", "int64")
        dtype = rng.choice((*dtypes, "uint64", "float32", "complex64", "S3"))
        shape = [rng.choice((0, 1, 2, 5, 8)) for _ in range(rng.randrange(5))]
        values = np.random.default_rng(rng.randrange(2**32))
        low, high = rng.choice((-2, 0, 0, 0)), rng.choice((2, 9, 2**40))
        array = values.integers(low, high, shape)
        array = array.astype(dtype)
        field = rng.choice((None, (5, 5), (1, 8), (100, 100)))
        return lambda: labels_of_mask(array, field)


class _Wholeness:
    """Downloaded files, judged by their ends and directories."""

    def __init__(self, folder: Path):
        from benchmarks.faults.fuzzing import pictures

        self._folder = folder
        self._whole = {
            "a.png": pictures._pngs()[0],
            "a.jpg": pictures._jpegs()[0],
            "a.tif": pictures._tiffs()[0],
            "b.tiff": pictures._tiffs()[2],
            "a.jpg.gz": pictures._gzips()[2],
            "a.tif.gz": pictures._gzips()[3],
        }

    def draw(self, rng: random.Random) -> Callable[[], object]:
        """Damages a file that came."""
        from data_prep.download.wholeness import what_is_wrong

        name = rng.choice(list(self._whole))
        path = self._folder / "0.part"
        path.write_bytes(mutated_picture(self._whole[name], rng))

        def read() -> None:
            if wrong := what_is_wrong(path, name):
                raise DataError(f"{wrong}: expected a whole image")

        return read


TARGETS: dict[str, Callable[[Path], Inputs]] = {
    "png": _decoder("png"),
    "jpeg": _decoder("jpeg"),
    "tiff": _decoder("tiff"),
    "gzip": _decoder("gzip"),
    "stored_png": _stored,
    "masks": _Masks,
    "mask_arrays": _MaskArrays,
    "downloaded": _Wholeness,
}
