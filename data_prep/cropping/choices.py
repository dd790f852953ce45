"""From the flags of the command ``crop`` to settings; what is not said is found out.

Imports what is heavy inside functions: the command's help needs the names alone.
"""

import dataclasses

from tfvqgen.errors import DataError, UserError

# What channels are called, in lower case.
NUCLEUS_NAMES = ("blue", "nucleus", "nuclei", "dapi", "dna", "hoechst")
PROTEIN_NAMES = ("green", "protein", "gfp")
# By mode: shares of what the type holds, or percentiles.
USUAL_RANGES = {"fixed": (0.0, 1.0), "field": (0.1, 99.9)}


def settings_of(args, folder):
    """Returns the settings that the flags and the fields together make.

    Args:
        args: The flags of the command ``crop``.
        folder: The fields, a ``FieldFolder``.

    Raises:
        UserError: A flag is wrong, or a channel or the size of pixels is not known.
    """
    from data_prep.cropping.crop_settings import CropSettings
    from data_prep.cropping.field_crops import scale_of

    settings = CropSettings(
        channels=folder.channels,
        dtype=_dtype(folder),
        nucleus_channel=_channel(
            folder.channels, "nucleus_channel", args.nucleus_channel, NUCLEUS_NAMES
        ),
        protein_channel=_channel(
            folder.channels, "protein_channel", args.protein_channel, PROTEIN_NAMES
        ),
        crop_size=args.crop_size,
        pixel_size=args.pixel_size,
        scale=args.scale,
        mask_kind=args.mask_kind,
        mask_neighbours=args.mask_neighbours,
        intensity=_intensity(args),
        thresholds=_thresholds(args.threshold),
    )
    for field in folder.fields:
        scale_of(field, settings)
    return settings


def names(text: str) -> tuple[str, ...]:
    """Returns the names in a list with commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _dtype(folder) -> str:
    """Returns the depth of the first field that can be read."""
    from data_prep.images.field_images import image_form

    errors = []
    for field in folder.fields:
        try:
            form = image_form(next(iter(field.planes.values())).path)
        except DataError as error:
            errors.append(error)
            continue
        return f"uint{form.depth}"
    raise DataError(
        "no field can be read: expected one at least. "
        f"Received: {len(errors)}, the first: {errors[0]}"
    )


def _channel(channels, flag: str, name: str | None, usual) -> str | None:
    if name is not None and name not in channels:
        raise UserError(
            f"unknown --{flag}: expected one of {', '.join(channels)}. "
            f"Received: {flag}={name}"
        )
    if name is not None:
        return name
    found = [channel for channel in channels if channel.lower() in usual]
    if not found and flag == "nucleus_channel":
        raise UserError(
            f"the channel of the nuclei is not known: expected --{flag}, one of "
            f"{', '.join(channels)}. Received: none of {', '.join(usual)}"
        )
    return found[0] if found else None


def _intensity(args):
    from data_prep.cropping.cutting import Intensity

    low, high = USUAL_RANGES[args.intensity]
    most = 1 if args.intensity == "fixed" else 100
    if args.intensity_range is not None:
        try:
            low, high = (float(word) for word in args.intensity_range.split(","))
        except ValueError:
            low = high = float("nan")
    if not 0 <= low < high <= most:
        raise UserError(
            f"wrong --intensity_range: expected LOW,HIGH from 0 to {most}. "
            f"Received: {args.intensity_range}"
        )
    return Intensity(args.intensity, low, high)


def _thresholds(words):
    from data_prep.cropping.quality import Thresholds

    usual = dataclasses.asdict(Thresholds())
    given = {}
    for word in words:
        name, _, text = word.partition("=")
        if name not in usual:
            raise UserError(
                f"unknown --threshold: expected one of {', '.join(usual)}. "
                f"Received: {word}"
            )
        given[name] = _limit(word, text, usual[name])
    return Thresholds(**given)


def _limit(word: str, text: str, usual):
    if isinstance(usual, tuple):
        return names(text)
    if isinstance(usual, bool):
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
    elif text.lower() == "none":
        return None
    else:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if abs(value) < float("inf"):
            return value
    expected = "true or false" if isinstance(usual, bool) else "a number or none"
    raise UserError(f"wrong --threshold: expected {expected}. Received: {word}")
