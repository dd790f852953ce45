"""What a person wants to see of shards: their counts, a sheet of pictures, damage."""

import os
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tfvqgen.data import schema
from tfvqgen.data.dataset_info import DatasetInfo
from tfvqgen.data.images import composite
from tfvqgen.files import whole_file

_NAME_WIDTH = 190
_GAP = 4


def count_table(info: DatasetInfo) -> str:
    """Returns a table of the examples of every label in every split."""
    names = list(info.splits)
    rows = [["label", *names, "all"]]
    for label in info.labels:
        counts = [split.label_counts[label] for split in info.splits.values()]
        rows.append([label, *map(str, counts), str(sum(counts))])
    for title, field in (("examples", "num_examples"), ("groups", "num_groups")):
        counts = [getattr(split, field) for split in info.splits.values()]
        rows.append([title, *map(str, counts), str(sum(counts))])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    rule = "-" * len(lines[0])
    return "\n".join([lines[0], rule, *lines[1:-2], rule, *lines[-2:]])


def summary(info: DatasetInfo) -> str:
    """Returns what the images are, in three lines."""
    height, width, _ = info.image_shape
    size = "unknown" if info.pixel_size is None else f"{info.pixel_size:g} um"
    return "\n".join(
        [
            f"images   {height} x {width}, {info.dtype}, pixel size {size}, "
            f"channels {', '.join(info.channels)}",
            f"labels   {len(info.labels)}, policy {info.label_policy}",
            f"credit   {info.credit or '(none)'}",
        ]
    )


def disagreements(dataset: schema.Dataset) -> list[str]:
    """Says where whole records contradict ``dataset.json`` or each other."""
    found = []
    group_of: dict[bytes, str] = {}
    for name, info in dataset.info.splits.items():
        if not info.num_examples:
            continue
        split = dataset.split(name)
        counts = schema.read_labels(split).sum(axis=0)
        for label, count in zip(dataset.info.labels, counts.tolist(), strict=True):
            if count != info.label_counts[label]:
                found.append(
                    f"{name}: label_counts of {label!r} says "
                    f"{info.label_counts[label]}, the records have {count}"
                )
        groups = schema.read_groups(split)
        if len(groups) != info.num_groups:
            found.append(
                f"{name}: num_groups says {info.num_groups}, the records have "
                f"{len(groups)}"
            )
        for group in sorted(groups):
            other = group_of.setdefault(group, name)
            if other != name:
                found.append(f"group {group.decode()!r} is in both {other} and {name}")
    return found


def write_contact_sheet(
    dataset: schema.Dataset, path: str | os.PathLike, per_label: int = 8
) -> None:
    """Writes a PNG with one row of crops a label, in the display colours.

    Crops that have the label alone come first; crops without any label have a last row
    of their own.

    Args:
        dataset: Shards without damage.
        path: The picture's name.
        per_label: How many crops a row has at most.
    """
    rows: list[tuple[str, list[np.ndarray]]] = [(n, []) for n in dataset.info.labels]
    rows.append(("(unknown)", []))
    for name, info in dataset.info.splits.items():
        if info.num_examples:
            _add_pictures(rows, dataset.split(name), per_label)
    if not rows[-1][1]:
        rows.pop()
    picture = _grid(rows, per_label, dataset.info.image_shape[:2])
    with whole_file(path) as file:
        picture.save(file, format="PNG")


def _add_pictures(rows: list, split: schema.Split, per_label: int) -> None:
    """Fills up the rows with crops of one split."""
    has = schema.read_labels(split)
    has = np.concatenate([has, ~has.any(axis=1, keepdims=True)], axis=1)
    num_labels = has.sum(axis=1)
    display = split.dataset_info.display_channels
    for column, (_, pictures) in enumerate(rows):
        candidates = np.flatnonzero(has[:, column])
        order = np.argsort(num_labels[candidates], kind="stable")
        wanted = candidates[order][: per_label - len(pictures)]
        for image in schema.read_images(split, wanted.tolist()):
            pictures.append(composite(image, display))


def _grid(rows: Sequence, per_label: int, shape: Sequence[int]) -> Image.Image:
    # Small crops are enlarged by whole factors so that they can be seen.
    factor = max(1, 96 // max(shape))
    height, width = shape[0] * factor, shape[1] * factor
    sheet = Image.new(
        "RGB",
        (
            _NAME_WIDTH + per_label * (width + _GAP) + _GAP,
            len(rows) * (height + _GAP) + _GAP,
        ),
        (24, 24, 24),
    )
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=13)
    for row, (name, pictures) in enumerate(rows):
        top = _GAP + row * (height + _GAP)
        text = _wrapped(name, draw, font)
        draw.multiline_text((8, top + height // 2), text, "white", font, anchor="lm")
        for column, picture in enumerate(pictures):
            tile = Image.fromarray(picture).resize(
                (width, height), Image.Resampling.NEAREST
            )
            sheet.paste(tile, (_NAME_WIDTH + column * (width + _GAP), top))
    return sheet


def _wrapped(name: str, draw: ImageDraw.ImageDraw, font) -> str:
    lines = [""]
    for word in name.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if draw.textlength(longer, font) <= _NAME_WIDTH - 16 or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return "\n".join(lines)
