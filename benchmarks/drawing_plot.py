"""The picture of `benchmarks.drawing`: fidelity over diversity, a line a knob."""

# Shapes: P points.

import collections
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.drawing_grid import OFF, PLAIN, Line, Setting, lines, number
from tfvqgen.errors import UserError
from tfvqgen.files import whole_file

AGREEMENT = "label_agreement"
FORMATS = (".png", ".svg", ".pdf")
# Of Okabe and Ito 2008, which people of all kinds of colour vision tell apart; the
# markers differ as well.
_STYLES = {
    "temperature": ("#0072B2", "o"),
    "top_p": ("#D55E00", "s"),
    "guidance": ("#009E73", "^"),
    "keep_best": ("#CC79A7", "D"),
}
_DASHES = ("-", "--", ":", "-.")
# What is marked besides settings.
_MARKS = {
    "reconstructions": ("ceiling: reconstructions", "*"),
    "real": ("floor: other real crops", "P"),
}
_MARK_SIZE = 15
# Where a point's name may stand, in points from it: near places first.
_PLACES = [
    (distance * np.cos(angle), distance * np.sin(angle))
    for distance in (9, 16, 25, 36)
    for angle in np.pi / 4 * np.arange(8)
]

# By name of a case what it has across and up: objects of `value` and `interval`.
_Figures = Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]]


def require_plot(path: Path) -> None:
    """Raises UserError if the picture cannot be drawn."""
    if importlib.util.find_spec("matplotlib") is None:
        raise UserError(
            "matplotlib is not installed: expected the extra `plot` "
            "(pip install 'tfvqgen[plot]'). Received: no module matplotlib"
        )
    if path.suffix not in FORMATS or not path.parent.is_dir():
        raise UserError(
            f"no picture: expected a name that ends in {', '.join(FORMATS)} in a "
            f"folder that is there. Received: plot={path}"
        )


def plot(
    settings: Sequence[Setting],
    cases: Sequence[Mapping[str, Any]],
    extractor: str,
    best: str,
    path: Path,
) -> None:
    """Draws precision over recall, and label agreement over coverage.

    Args:
        settings: Those that are drawn.
        cases: Theirs by ``name``, and those of ceiling and floor if there are any.
        extractor: In whose features the measures are.
        best: The name of the setting that is recommended.
        path: Of the picture; its end says the format.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 7.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    features = {found["name"]: found["features"][extractor] for found in cases}
    _draw(
        left,
        lines(settings),
        {name: (x["recall"], x["precision"]) for name, x in features.items()},
        best,
    )
    _draw(
        right,
        lines(settings),
        {x["name"]: (features[x["name"]]["coverage"], x[AGREEMENT]) for x in cases},
        best,
    )
    for panel, across, up in (
        (left, "recall", "precision"),
        (right, "coverage", "label agreement"),
    ):
        panel.set_xlabel(f"{across} (more diverse →)")
        panel.set_ylabel(f"{up} (more faithful →)")
        panel.grid(alpha=0.25)
    figure.suptitle(_title(cases[0], extractor), fontsize=11)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    # Only now is it known where points and names are.
    figure.draw_without_rendering()
    for panel in (left, right):
        _place_names(panel, figure.dpi / 72)
    with whole_file(path) as file:
        figure.savefig(file, format=path.suffix[1:], dpi=150)


def _title(found: Mapping[str, Any], extractor: str) -> str:
    return (
        f"{found['num_samples']:,} cells a setting, {found['n']:,} compared with crops "
        f"of the split {found['split']}, seed {found['seed']}; features: {extractor}"
    )


def _draw(panel, chosen: Sequence[Line], figures: _Figures, best: str) -> None:
    points = {name: (x["value"], y["value"]) for name, (x, y) in figures.items()}
    drawn_of_knob: collections.Counter[str] = collections.Counter()
    for line in chosen:
        colour, marker = _STYLES[line.knob]
        before = drawn_of_knob[line.knob]
        drawn_of_knob[line.knob] += 1
        panel.plot(
            *zip(*(points[setting.name] for setting in line.settings), strict=True),
            color=colour,
            marker=marker,
            markersize=7,
            # Of one knob's lines the first is full, so that the others are told apart.
            markerfacecolor="white" if before else colour,
            linestyle=_DASHES[before % len(_DASHES)],
            label=line.name,
        )
    names = point_names(chosen)
    for name, (text, knob) in names.items():
        _name(panel, text, points[name], _STYLES[knob][0] if knob else "black")
    if PLAIN in names:
        panel.plot(*points[PLAIN], "ko", ms=7)
    some = PLAIN if PLAIN in names else next(iter(names))
    _interval(panel, some, figures[some])
    for name, (label, marker) in _MARKS.items():
        # The judge has nothing to say of crops without labels.
        if name in points and None not in points[name]:
            look = {"marker": marker, "ms": _MARK_SIZE, "ls": "", "label": label}
            panel.plot(*points[name], "k", **look)
    ring = {"marker": "o", "ms": _MARK_SIZE + 3, "mfc": "none", "mec": "black"}
    panel.plot(*points[best], ls="", label=f"recommended: {best}", **ring)


def point_names(chosen: Sequence[Line]) -> dict[str, tuple[str, str | None]]:
    """Returns by name of a setting what its point is called, and the knob that says so.

    Where lines meet, it is one whose knob is not off there.
    """
    names: dict[str, tuple[str, str | None]] = {}
    for line in chosen:
        for setting in line.settings:
            value = setting.values[line.knob]
            if setting.name == PLAIN:
                names[PLAIN] = (PLAIN, None)
            elif value != OFF[line.knob] or setting.name not in names:
                names[setting.name] = (number(value), line.knob)
    return names


def _interval(
    panel, name: str, figures: tuple[Mapping[str, Any], Mapping[str, Any]]
) -> None:
    """Shows how much chance there is in a point; at one, for at all none is legible."""
    values = [figure["value"] for figure in figures]
    # Ends may lie a rounding on the wrong side of the value.
    x, y = [
        np.abs(np.subtract(figure["interval"], figure["value"]))[:, None]
        for figure in figures
    ]
    panel.errorbar(
        *values,
        xerr=x,
        yerr=y,
        color="0.6",
        capsize=3,
        zorder=1,
        label=f"95 % interval of {name}",
    )


def _name(panel, text: str, point: tuple[float, float], colour: str) -> None:
    from matplotlib import patheffects

    made = panel.annotate(
        text,
        point,
        xytext=(0, 0),
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize=9.5,
        color=colour,
        zorder=5,
    )
    # Over a line it stays legible.
    made.set_path_effects([patheffects.withStroke(linewidth=2.5, foreground="white")])


def _place_names(panel, scale: float) -> None:
    """Moves each name to where it covers least of points and other names.

    Args:
        panel: Drawn.
        scale: Pixels a point.
    """
    points = np.concatenate(
        [panel.transData.transform(line.get_xydata()) for line in panel.lines]
    )
    half = np.full(2, 4.0) * scale
    taken = [np.concatenate([one - half, one + half]) for one in points]
    for name in panel.texts:
        box = name.get_window_extent().padded(scale).extents
        moved = [box + np.tile(place, 2) * scale for place in np.array(_PLACES)]
        covered = [_overlap(one, np.array(taken)) for one in moved]
        best = int(np.argmin(covered))
        name.set_position(_PLACES[best])
        taken.append(moved[best])


def _overlap(box: np.ndarray, others: np.ndarray) -> float:
    """Returns the area of a box [left, low, right, high] within others [P, 4]."""
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[2:], others[:, 2:])
    return float(np.prod(np.maximum(high - low, 0), axis=1).sum())
