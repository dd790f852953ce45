"""Reading of JPEGs that anybody wrote."""

import io
import struct

import numpy as np

from tfvqgen.errors import DataError

# What Pillow raises for what it cannot decode.
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, struct.error)
SIGNATURE = b"\xff\xd8\xff"
# Start of frame, but for those numbers that mean something else.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})


def jpeg_form(data: bytes) -> tuple[int, int, int, int] | None:
    """Returns height, width, channels and depth in bits; None: farther on in the file.

    Raises:
        DataError: It is not a grey or RGB JPEG of 8 bits.
    """
    place = 2
    while place + 10 <= len(data):
        if data[place] != 0xFF:
            raise DataError("a damaged image: expected a JPEG that decodes")
        marker = data[place + 1]
        if marker in _FRAMES:
            depth, height, width, channels = struct.unpack_from(
                ">BHHB", data, place + 4
            )
            if depth != 8 or channels not in (1, 3):
                raise DataError(
                    "an image of another kind: expected a JPEG of 8 bits that is grey "
                    f"or RGB, not {depth} bits and {channels} channels"
                )
            return height, width, channels, depth
        if marker == 0xFF:
            place += 1
        elif marker in _ALONE:
            place += 2
        else:
            place += 2 + struct.unpack_from(">H", data, place + 2)[0]
    return None


def decode_jpeg(data: bytes) -> np.ndarray:
    """Decodes a JPEG as uint8 [H, W, 1 or 3]; its size must have been judged before.

    Raises:
        DataError: It is truncated or damaged.
    """
    from PIL import Image

    form = jpeg_form(data)
    if form is None:
        raise DataError("a truncated image: expected a whole JPEG")
    try:
        image = Image.open(io.BytesIO(data), formats=("JPEG",))
        # A second frame would count here; before anything is unpacked.
        if image.size != (form[1], form[0]):
            raise ValueError("another size")
        pixels = np.asarray(image)
    except (*_DAMAGE, Image.DecompressionBombError) as error:
        what = "truncated" if "truncated" in str(error) else "damaged"
        raise DataError(f"a {what} image: expected a whole JPEG that decodes") from None
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    if pixels.shape != form[:3]:
        raise DataError("a damaged image: expected a JPEG as its header says")
    return pixels
