"""The channels of the Human Protein Atlas, which several layouts name by colour."""

from collections.abc import Mapping, Sequence

from data_prep.field import Plane
from tfvqgen.errors import DataError, UserError

# Microtubules, the protein of interest, nucleus, endoplasmic reticulum.
COLOURS = ("red", "green", "blue", "yellow")
SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg")
HPA_CREDIT = (
    "Human Protein Atlas, proteinatlas.org (Thul et al., Science 2017). Licence as "
    "stated there: CC BY-SA; not verified for these files."
)
# Micrometres a pixel of the fields as the microscope took them.
FULL_SIZE_PIXEL = 0.08
_CODECS = {"png": "png", "jpg": "jpeg", "jpeg": "jpeg", "tif": "tiff", "tiff": "tiff"}


def chosen(names: Sequence[str], channels: Sequence[str] | None) -> tuple[str, ...]:
    """Returns the channels to read, in order.

    Args:
        names: All that the layout has.
        channels: Those that the user wants; None: all.

    Raises:
        UserError: One is not of the layout, or is there twice.
    """
    if channels is None:
        return tuple(names)
    unknown = [name for name in channels if name not in names]
    if unknown or not channels or len(set(channels)) < len(channels):
        raise UserError(
            f"wrong channels: expected some of {', '.join(names)}, each once. "
            f"Received: channels={','.join(channels)}"
        )
    return tuple(channels)


def all_planes(
    found: Mapping[str, Plane], channels: Sequence[str], field_id: str, where: str
) -> dict[str, Plane]:
    """Returns the planes of the channels in their order.

    Raises:
        DataError: One is missing; names the field.
    """
    missing = [name for name in channels if name not in found]
    if missing:
        having = [name for name in channels if name in found]
        leave = f", or --channels {','.join(having)}" if having else ""
        raise DataError(
            f"a channel is missing: expected {', '.join(channels)}{leave}. "
            f"Received: no {', '.join(missing)} of field {field_id!r} in {where}"
        )
    return {name: found[name] for name in channels}


def codec_of(planes: Mapping[str, Plane]) -> str:
    """Returns how a field's files are encoded by their names: ``png``, ``jpeg``, ..."""
    codecs = {codec_of_name(plane.path.name) for plane in planes.values()}
    return "+".join(sorted(codecs))


def codec_of_name(name: str) -> str:
    """Returns ``png``, ``jpeg`` or ``tiff`` by a file's name, else an empty text."""
    ending = name.lower().removesuffix(".gz").rpartition(".")[2]
    return _CODECS.get(ending, "")
