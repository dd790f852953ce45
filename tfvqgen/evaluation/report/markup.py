"""Pieces of HTML: pictures within the page, tables, figures with intervals."""

import base64
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from tfvqgen.data.crops import LABEL_SEPARATOR
from tfvqgen.data.images import encode_png
from tfvqgen.evaluation.report.charts import number_text
from tfvqgen.evaluation.report.pictures import Picture
from tfvqgen.evaluation.report.verdicts import Verdict
from tfvqgen.generation.samples import DISCLAIMER

NOTHING = "&ndash;"


def picture(image: np.ndarray, alt: str, text: Mapping[str, str] | None = None) -> str:
    """Returns an image element that has its picture within.

    Args:
        image: uint8 [H, W, 3].
        alt: What is seen; also shown when the pointer rests there.
        text: Said within the PNG, so that it goes along when it is saved.
    """
    data = base64.b64encode(encode_png(image, text)).decode()
    height, width = image.shape[:2]
    return (
        f'<img src="data:image/png;base64,{data}" width="{width}" height="{height}" '
        f'alt="{escape(alt)}" title="{escape(alt)}">'
    )


def cell_picture(cell: Picture, name: str, model: str) -> str:
    """Returns a cell's image element; generated ones say so within the PNG too.

    Args:
        cell: What is seen.
        name: What it is called if it is not generated.
        model: The id of the model.
    """
    if cell.seed is None:
        return picture(cell.image, f"{name}: {label_text(cell)}")
    text = {
        "Description": DISCLAIMER,
        "Software": "tfvqgen",
        "Model": model,
        "Labels": cell.labels,
        "Seed": str(cell.seed),
    }
    alt = f"generated: {label_text(cell)}, seed {cell.seed}"
    return picture(cell.image, alt, text)


def label_text(cell: Picture) -> str:
    """Returns a cell's labels as people read them."""
    return cell.labels.replace(LABEL_SEPARATOR, " + ")


def table(header: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> str:
    """Returns a table below its caption; header and cells are HTML."""
    head = "".join(f"<th>{cell}</th>" for cell in header)
    body = "".join(
        f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows
    )
    return (
        f'<p class="caption">{escape(caption)}</p><div class="wide"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def verdict_list(verdicts: Sequence[Verdict]) -> str:
    """Returns verdicts as a list, with a mark each."""
    items = "".join(
        f'<li class="{"good" if healthy else "bad"}">'
        f"{escape(sentence[:1].upper() + sentence[1:])}.</li>"
        for healthy, sentence in verdicts
    )
    return f'<ul class="verdicts">{items}</ul>'


def figure_text(figure: Mapping[str, Any], style: str = "number") -> str:
    """Returns a figure of ``metrics.json`` with its interval below, if it has one.

    Args:
        figure: ``value`` and maybe ``interval``.
        style: ``number`` (three digits), ``decibels`` or ``percent``.
    """
    return number(figure["value"], style) + interval_text(figure, style)


def interval_text(figure: Mapping[str, Any], style: str = "number") -> str:
    """Returns the interval of a figure, small; nothing where there is none."""
    ends = figure.get("interval", (None, None))
    if None in ends:
        return ""
    low, high = (number(end, style) for end in ends)
    return f"<small>{low} to {high}</small>"


def number(value: float | None, style: str = "number") -> str:
    """Returns a number as people read it."""
    if value is None:
        return NOTHING
    if style == "percent":
        return f"{value:.1%}"
    if style == "decibels":
        return f"{value:.2f}"
    if value and abs(value) < 1:
        digits = 2 - math.floor(math.log10(abs(value)))
        return f"{value:.{min(digits, 6)}f}"
    return f"{value:.2f}" if abs(value) < 100 else number_text(value)


def facts(pairs: Mapping[str, str]) -> str:
    """Returns names with what they are; the latter is HTML."""
    items = "".join(f"<dt>{escape(k)}</dt><dd>{v}</dd>" for k, v in pairs.items())
    return f'<dl class="facts">{items}</dl>'


def charts(found: Sequence[tuple[str, str]]) -> str:
    """Returns charts in a grid; each is a title and the HTML of the chart."""
    figures = "".join(
        f"<figure><h3>{escape(title)}</h3>{chart}</figure>" for title, chart in found
    )
    if not figures:
        return ""
    four = " four" if len(found) % 4 == 0 else ""
    return f'<div class="charts{four}">{figures}</div>'


def section(title: str, text: str, content: str) -> str:
    """Returns a part of the page under a title; text and content are HTML."""
    introduction = f"<p>{text}</p>" if text else ""
    return f"<section><h2>{title}</h2>{introduction}{content}</section>"
