"""Reports about shards: counts, contradictions and a contact sheet."""

import os

import numpy as np

from tfvqgen.data import schema
from tfvqgen.data.dataset_info import DatasetInfo
from tfvqgen.data.images import composite, write_image
from tfvqgen.data.sheets import sheet_of_rows


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
    first, *widths = (max(map(len, column)) for column in zip(*rows, strict=True))
    lines = []
    for name, *cells in rows:
        right = (cell.rjust(size) for cell, size in zip(cells, widths, strict=True))
        lines.append("  ".join([name.ljust(first), *right]))
    rule = "-" * len(lines[0])
    return "\n".join([lines[0], rule, *lines[1:-2], rule, *lines[-2:]])


def summary(info: DatasetInfo) -> str:
    """Returns a description of the images in three lines."""
    height, width, _ = info.image_shape
    size = "unknown" if info.pixel_size is None else f"{info.pixel_size:g} um"
    return (
        f"images   {height} x {width}, {info.dtype}, pixel size {size}, channels "
        f"{', '.join(info.channels)}\nlabels   {len(info.labels)}, policy "
        f"{info.label_policy}\ncredit   {info.credit or '(none)'}"
    )


def disagreements(dataset: schema.Dataset) -> list[str]:
    """Lists contradictions between the records and ``dataset.json``."""
    found = []
    group_of: dict[bytes, str] = {}
    for name, info in dataset.info.splits.items():
        if not info.num_examples:
            continue
        split = dataset.split(name)
        counts = split.read_labels().sum(axis=0).tolist()
        groups = set(schema.read_groups(split))
        compared = [
            (f"label_counts of {label!r}", info.label_counts[label], count)
            for label, count in zip(dataset.info.labels, counts, strict=True)
        ]
        compared.append(("num_groups", info.num_groups, len(groups)))
        for what, stated, count in compared:
            if count != stated:
                found.append(f"{name}: {what} says {stated}, the records have {count}")
        for group in sorted(groups):
            other = group_of.setdefault(group, name)
            if other != name:
                found.append(f"group {group.decode()!r} is in both {other} and {name}")
    return found


def write_contact_sheet(
    dataset: schema.Dataset, path: str | os.PathLike, per_label: int = 8
) -> None:
    """Writes a PNG with one row of crops per label, in display colours.

    Crops with only that label come first, at most `per_label` in a row. The last row
    shows crops without a label. The shards must not be damaged.
    """
    rows: list[tuple[str, list[np.ndarray]]] = [(n, []) for n in dataset.info.labels]
    rows.append(("(unknown)", []))
    for name, info in dataset.info.splits.items():
        if not info.num_examples:
            continue
        split = dataset.split(name)
        has = split.read_labels()
        has = np.concatenate([has, ~has.any(axis=1, keepdims=True)], axis=1)
        num_labels = has.sum(axis=1)
        for column, (_, shown) in enumerate(rows):
            candidates = np.flatnonzero(has[:, column])
            order = np.argsort(num_labels[candidates], kind="stable")
            wanted = candidates[order][: per_label - len(shown)]
            for image in schema.read_images(split, wanted.tolist()):
                shown.append(composite(image, dataset.info.display_channels))
    if not rows[-1][1]:
        rows.pop()
    write_image(path, sheet_of_rows(rows))
