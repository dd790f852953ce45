"""Tables that compare generated cells with real ones."""

from collections.abc import Mapping
from html import escape
from typing import Any

from tfvqgen.evaluation.report.markup import NOTHING, figure_text, table
from tfvqgen.evaluation.report.names import SET_NAMES, STATISTIC_NAMES

_Metrics = Mapping[str, Any]
_NEIGHBOUR_MEASURES = ("precision", "recall", "density", "coverage")
_SIDES = {"held_out": "real", "generated": "generated"}


def distances(found: _Metrics, held_out: str) -> str:
    """Returns distances from held-out crops by one extractor."""
    rows = []
    for name, label in SET_NAMES.items():
        one = found["sets"].get(name)
        if one:
            cells = [_text(one[x]) for x in ("frechet", "kernel", *_NEIGHBOUR_MEASURES)]
            rows.append([label, *cells])
    resamples = found["resamples"]
    caption = (
        f"By {found['extractor']} features ({found['features']:,}), from real crops "
        f"({held_out}); n = {found['n']:,} in each row, and as many real crops; "
        f"{found['neighbours']} neighbours. KID: unbiased, cubic kernel. Small: 95% "
        f"intervals; of distances by the spread of {resamples['frechet']} and "
        f"{resamples['kernel']} drawings with replacement, of the others by bootstrap "
        "over cells, the other set held fixed."
    )
    header = ["", escape(found["frechet_name"]), "KID", *_capitalised()]
    return table(header, rows, caption)


def agreement(found: _Metrics, held_out: str) -> str:
    """Returns how often labels are recognised."""
    rows = []
    for name, label in (
        ("generated", "generated cells"),
        ("reconstructions", "reconstructions of other real crops"),
        ("real", f"real crops ({held_out})"),
    ):
        if one := found.get(name):
            rows.append([escape(label), f"{one['n']:,}", *_recognition(one)])
    caption = (
        f"The classifier has learnt from {found['judge']['learnt_from']}. Recognised: "
        "the most likely label is one of the cell's. Small: 95% intervals, bootstrap "
        "over cells."
    )
    header = ["", "n", "Recognised", "Mean over labels", "Mean average precision"]
    return table(header, rows, caption)


def classification_score(score: _Metrics, held_out: str) -> str:
    """Returns what classifiers learn from generated cells alone."""
    rows = []
    for name, label in (
        ("real", "real crops"),
        ("reconstructions", "reconstructions"),
        ("generated", "generated cells"),
    ):
        one = score[name]
        share = one.get("accuracy_over_real")
        rows.append(
            [
                label,
                f"{one['num_learnt_from']:,}",
                *_recognition(one),
                figure_text(share, "percent") if share else "",
            ]
        )
    caption = (
        "Classification accuracy score: the same network learns from what the row says "
        f"and nothing else, and is tested on real crops ({held_out}, n = "
        f"{score['real']['n']:,})."
    )
    header = [
        "Learnt from",
        "Number",
        "Accuracy",
        "Mean over labels",
        "Mean average precision",
        "Of real-trained",
    ]
    return table(header, rows, caption)


def agreement_by_label(found: _Metrics) -> str:
    """Returns how often each label is recognised."""
    rows = []
    for label in found["labels"]:
        row = [escape(label)]
        for name in ("generated", "real"):
            one = found[name]["by_label"][label]
            row += [f"{one['n']:,}", _text(one["recognised"], "percent")]
        rows.append(row)
    header = ["Label", "n generated", "Recognised", "n real", "Recognised"]
    return table(header, rows, "Cells with the label, and how many are recognised.")


def memorisation(found: _Metrics) -> str:
    """Returns ratios of distances by extractor."""
    rows = []
    for name, one in found.items():
        rows.append(
            [
                escape(name),
                _text(one["ratio"]["generated"]),
                _text(one["ratio"]["real"]),
                _text(one["suspiciously_near"], "percent"),
                f"{one['expected_suspiciously_near']:.0%}",
            ]
        )
    one = next(iter(found.values()))
    caption = (
        f"{one['n']:,} generated cells and {one['n_unseen']:,} real ones that were "
        f"never seen, each by its distance to {one['n_training']:,} training crops "
        f"and to {one['n_held_out']:,} held-out crops of other wells. Suspiciously "
        "near: nearer to a training crop than the nearest 5% of real cells are. Small: "
        "95% intervals, bootstrap over cells."
    )
    header = ["Features", "Ratio, generated", "Ratio, real", "Suspicious", "Expected"]
    return table(header, rows, caption)


def biology(found: _Metrics, held_out: str) -> str:
    """Returns statistics of cells and how far their distributions are apart."""
    rows = []
    for name, one in found["statistics"].items():
        unit = f", {one['unit']}" if one["unit"] else ""
        sets = one["sets"]
        rows.append(
            [
                escape(STATISTIC_NAMES[name] + unit),
                _text(one["held_out"]["mean"]),
                _text(sets["generated"]["mean"]),
                *(
                    _text(sets[side]["wasserstein"]) if side in sets else NOTHING
                    for side in SET_NAMES
                ),
                _text(sets["generated"]["kolmogorov_smirnov"]),
            ]
        )
    caption = (
        f"{found['n']:,} cells of each kind. Apart: how far values of generated cells "
        f"are from those of real crops ({held_out}), in standard deviations of the "
        "latter (Wasserstein-1); beside it the same of reconstructions and of other "
        "real crops. Largest: the largest difference between the lines below "
        "(Kolmogorov-Smirnov). Small: 95% intervals."
    )
    header = [
        "",
        "Real",
        "Generated",
        "Apart",
        "Reconstr.",
        "Other real",
        "Largest",
    ]
    return table(header, rows, caption)


def biology_by_label(found: _Metrics) -> str:
    """Returns means of statistics, real above generated, by label."""
    rows = []
    for label, statistics in found["labels"].items():
        for side in ("held_out", "generated"):
            row = [escape(label) if side == "held_out" else "", _SIDES[side]]
            row += [_text(one[side]["mean"]) for one in statistics.values()]
            rows.append(row)
    caption = "Means of labels with at least 10 cells of each kind."
    return table(["Label", "", *STATISTIC_NAMES.values()], rows, caption)


def _recognition(found: _Metrics) -> list[str]:
    return [
        _text(found["accuracy"], "percent"),
        _text(found["balanced_accuracy"], "percent"),
        _text(found["mean_average_precision"]),
    ]


def _text(figure: _Metrics | None, style: str = "number") -> str:
    return NOTHING if figure is None else figure_text(figure, style)


def _capitalised() -> list[str]:
    return [name.capitalize() for name in _NEIGHBOUR_MEASURES]
