"""Reading the images of a field safely: whatever a file is, a picture or a sentence.

Shapes: [H, W, C] height, width, channels. Values: uint8 or uint16, as the file has
them. What a file is, is judged by its first bytes and its size before anything is
unpacked. Needs no TensorFlow, so that worker processes start at once.
"""

import dataclasses
import os
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_prep.fields import Field, Plane
from data_prep.images import jpeg, png, tiff
from tfvqgen.errors import DataError

# Seven times the largest field of the Human Protein Atlas.
MAX_PIXELS = 2**26
# That many pixels of four channels and 16 bits that can't be compressed.
MAX_BYTES = 2**29
_CODECS = {"png": "png", "jpg": "jpeg", "jpeg": "jpeg", "tif": "tiff", "tiff": "tiff"}
_DECODERS = {
    "png": png.decode_png,
    "jpeg": jpeg.decode_jpeg,
    "tiff": tiff.decode_tiff,
}
_GZIP = b"\x1f\x8b"
_HEAD = 2**16


@dataclasses.dataclass(frozen=True)
class ImageForm:
    """What an image's header says.

    Attributes:
        height: In pixels.
        width: In pixels.
        channels: 1 is grey.
        depth: Bits a value, 8 or 16.
        codec: ``png``, ``jpeg`` or ``tiff``.
    """

    height: int
    width: int
    channels: int
    depth: int
    codec: str


def read_field(field: Field) -> np.ndarray:
    """Reads a field's channels in their order: uint8 or uint16 [H, W, C].

    Files of several channels are decoded once. In memory each channel is in one piece
    where the channels come from several files.

    Raises:
        DataError: A file is missing, damaged, too large or of another kind, or the
            channels differ in size or depth; names the field and the file.
    """
    planes = list(field.planes.values())
    decoded: dict[Path, np.ndarray] = {}
    for plane in planes:
        if plane.path not in decoded:
            decoded[plane.path] = _read(plane.path, field)
    first = decoded[planes[0].path]
    for path, image in decoded.items():
        if image.shape[:2] != first.shape[:2] or image.dtype != first.dtype:
            raise DataError(
                "the channels of a field do not fit together: expected "
                f"{_said(first)} as in {planes[0].path}. "
                f"Received: {_said(image)} in {path} of field {field.field_id!r}"
            )
    for plane in planes:
        _check_channel(plane, decoded[plane.path], field)
    if len(decoded) == 1 and _is_whole(planes, first):
        return first
    parts = [decoded[plane.path][..., plane.index or 0] for plane in planes]
    return np.stack(parts).transpose(1, 2, 0)


def read_image_file(path: str | os.PathLike) -> np.ndarray:
    """Reads an image of any kind and number of channels: uint8 or uint16 [H, W, C].

    Raises:
        DataError: It is missing, damaged, too large or of another kind; names it.
    """
    try:
        return _decoded(Path(path))
    except DataError as error:
        raise DataError(f"{error}. Received: {path}") from None


def whole_png(field: Field) -> bytes | None:
    """Returns a PNG of the field's channels in their order, if one file is that.

    What it holds beside the pixels is left out: a transparent colour, for one, would
    make other decoders see another channel.

    Raises:
        DataError: As :func:`read_field`.
    """
    planes = list(field.planes.values())
    path = planes[0].path
    if any(plane.path != path for plane in planes) or path.suffix.lower() != ".png":
        return None
    try:
        data = _file_bytes(path)
        channels = form_of_bytes(data).channels
        in_order = [plane.index or 0 for plane in planes] == list(range(channels))
        return png.without_extras(data) if in_order else None
    except DataError as error:
        raise _blamed(error, path, field) from None


def read_mask_file(path: str | os.PathLike) -> np.ndarray:
    """Reads a label image, in a TIFF of any whole numbers: [H, W, C].

    Raises:
        DataError: It is missing, damaged, too large or of another kind; names it.
    """
    try:
        data = _ungzipped(_file_bytes(Path(path)), MAX_BYTES)
        if not data.startswith(tiff.SIGNATURES):
            return decode_image(data, codec_of_name(Path(path).name))
        check_size(*tiff.tiff_form(data, tiff.LABEL_TYPES)[:3])
        return tiff.decode_tiff(data, tiff.LABEL_TYPES)
    except DataError as error:
        raise DataError(f"{error}. Received: {path}") from None


def image_form(path: str | os.PathLike) -> ImageForm:
    """Returns what an image's header says, reading no more than that where possible.

    Raises:
        DataError: It is missing, damaged, too large or of another kind; names it.
    """
    path = Path(path)
    try:
        head = _file_bytes(path, _HEAD)
        if head.startswith((png.SIGNATURE, jpeg.SIGNATURE)):
            form = _form(head)
            if form is not None:
                return form
        return form_of_bytes(_ungzipped(_file_bytes(path), MAX_BYTES))
    except DataError as error:
        raise DataError(f"{error}. Received: {path}") from None


def codec_of_name(name: str) -> str:
    """Returns ``png``, ``jpeg`` or ``tiff`` by a file's name, else an empty text."""
    ending = name.lower().removesuffix(".gz").rpartition(".")[2]
    return _CODECS.get(ending, "")


def decode_image(data: bytes, codec: str = "") -> np.ndarray:
    """Decodes a PNG, JPEG or TIFF, or one with gzip around: [H, W, C].

    Args:
        data: The whole file.
        codec: Which of them it must be, by its name, if that says so.

    Raises:
        DataError: It can't be decoded; without the file's name.
    """
    data = _ungzipped(data, MAX_BYTES)
    found = form_of_bytes(data).codec
    if codec and codec != found:
        # The codec is recorded by the name, and a JPEG must not pass for lossless.
        raise DataError(f"a misnamed image: expected a {codec}, not a {found}")
    return _DECODERS[found](data)


def form_of_bytes(data: bytes) -> ImageForm:
    """Returns what the header of a whole file says.

    Raises:
        DataError: It is no image that can be read, or too large; without its name.
    """
    form = _form(data)
    if form is None:
        raise DataError("a truncated image: expected a whole JPEG")
    return form


def check_size(height: int, width: int, channels: int = 1) -> None:
    """Refuses sizes that no microscope has.

    Raises:
        DataError: Without the file's name.
    """
    if not 0 < height * width <= MAX_PIXELS or not 1 <= channels <= 8:
        raise DataError(
            f"an absurd size: expected 1 to {MAX_PIXELS} pixels and 1 to 8 channels, "
            f"not {height} x {width} x {channels}"
        )


def _form(data: bytes) -> ImageForm | None:
    """Returns the form and judges the size; None: a JPEG's header goes on."""
    if not data:
        raise DataError("an empty file: expected an image")
    if data.startswith(png.SIGNATURE):
        form, codec = png.png_form(data), "png"
    elif data.startswith(jpeg.SIGNATURE):
        form, codec = jpeg.jpeg_form(data), "jpeg"
    elif data.startswith(tiff.SIGNATURES):
        form, codec = tiff.tiff_form(data), "tiff"
    else:
        raise DataError("not an image: expected a PNG, TIFF or JPEG, or one with .gz")
    if form is None:
        return None
    check_size(*form[:3])
    return ImageForm(*form, codec)


def _read(path: Path, field: Field) -> np.ndarray:
    try:
        return _decoded(path)
    except DataError as error:
        raise _blamed(error, path, field) from None


def _decoded(path: Path) -> np.ndarray:
    return decode_image(_file_bytes(path), codec_of_name(path.name))


def _blamed(error: DataError, path: Path, field: Field) -> DataError:
    return DataError(f"{error}. Received: {path} of field {field.field_id!r}")


def _file_bytes(path: Path, most: int | None = None) -> bytes:
    """Returns the bytes of a file, or the first `most` of what it holds."""
    try:
        if not path.is_file():
            raise DataError("no such image: expected a file")
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"a file too large: expected at most {MAX_BYTES} bytes")
        with open(path, "rb") as file:
            data = file.read(-1 if most is None else most)
    except OSError as error:
        raise DataError(
            "an image that cannot be opened: expected a file that can be read "
            f"({error.strerror})"
        ) from None
    return data if most is None else _ungzipped(data, most, whole=False)


def _ungzipped(data: bytes, most: int, whole: bool = True) -> bytes:
    """Returns what is in a gzip file, or `data` if it is none."""
    if not data.startswith(_GZIP):
        return data
    packer = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        unpacked = packer.decompress(data, most + 1)
    except zlib.error:
        raise DataError("a damaged file: expected gzip that unpacks") from None
    if not whole:
        return unpacked[:most]
    if len(unpacked) > most:
        raise DataError(f"a file too large: expected at most {most} bytes in it")
    if not packer.eof:
        raise DataError("a truncated file: expected whole gzip")
    return unpacked


def _check_channel(plane: Plane, image: np.ndarray, field: Field) -> None:
    channels = image.shape[-1]
    if plane.index is None and channels != 1:
        raise DataError(
            "an image of several channels: expected a grey one. "
            f"Received: {channels} channels in {plane.path} of field "
            f"{field.field_id!r}"
        )
    if plane.index is not None and plane.index >= channels:
        raise DataError(
            f"too few channels: expected more than {plane.index}. "
            f"Received: {channels} in {plane.path} of field {field.field_id!r}"
        )


def _is_whole(planes: Sequence[Plane], image: np.ndarray) -> bool:
    return [plane.index or 0 for plane in planes] == list(range(image.shape[-1]))


def _said(image: np.ndarray) -> str:
    return f"{image.dtype.name} {image.shape[0]} x {image.shape[1]}"
