"""The report as one page that needs nothing but itself: ``index.html``."""

from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any

from tfvqgen.evaluation.report import comparisons, tables
from tfvqgen.evaluation.report.charts import Series, line_chart, scatter_chart
from tfvqgen.evaluation.report.curves import Curve
from tfvqgen.evaluation.report.markup import (
    cell_picture,
    charts,
    facts,
    interval_text,
    label_text,
    number,
    picture,
    section,
    verdict_list,
)
from tfvqgen.evaluation.report.pictures import Picture, Pictures
from tfvqgen.evaluation.report.verdicts import verdicts

_Metrics = Mapping[str, Any]


def render(
    metrics: _Metrics,
    pictures: Pictures,
    curves: Sequence[Curve],
    *,
    trained_on: str,
    held_out: str,
) -> str:
    """Returns the page.

    Args:
        metrics: The contents of ``metrics.json``.
        pictures: What there is to see.
        curves: The learning curves.
        trained_on: The split that the models were trained on.
        held_out: The split that they are judged on.
    """
    about = metrics["provenance"]["model"]
    body = "".join(
        [
            _head(metrics, held_out),
            _reconstructions(pictures, held_out),
            _cells(metrics, pictures, held_out),
            comparisons.distances(metrics, held_out),
            comparisons.agreement(metrics, held_out),
            comparisons.memorisation(metrics, pictures.neighbours),
            comparisons.biology(metrics, held_out),
            _levels(metrics, trained_on, held_out),
            _curves(curves),
            _numbers(metrics),
            _origin(metrics),
            f"<footer>{_notice(about)}</footer>",
        ]
    )
    folder = resources.files("tfvqgen.evaluation.report")
    style = folder.joinpath("page.css").read_text("utf-8")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Generated cells: model {about['id']}</title>"
        f"<style>{style}</style></head><body><main>{body}</main></body></html>\n"
    )


def _head(metrics: _Metrics, held_out: str) -> str:
    about = metrics["provenance"]["model"]
    height, width, _ = about["image_shape"]
    size = f"{height} &times; {width} pixels"
    if about["pixel_size"]:
        size += f" of {about['pixel_size']:g} µm"
    what = [
        f"Model <code>{about['id']}</code>",
        f"preset {escape(about['preset'])}" if about["preset"] else "",
        size,
        escape(", ".join(about["channels"])),
        f"{len(about['labels'])} localizations",
    ]
    return (
        "<header><h1>A generator of single cells</h1>"
        f'<p class="quiet">{" · ".join(x for x in what if x)}</p>'
        f'<p class="notice">{_notice(about)}</p>{_key_figures(metrics, held_out)}'
        "</header>"
    )


def _notice(about: Mapping[str, Any]) -> str:
    return (
        "<strong>Generated, not real.</strong> Cells called generated on this page "
        "were drawn by a model and are no observations. Data: "
        f"{escape(about['credit'] or 'no credit line given.')}"
    )


def _key_figures(metrics: _Metrics, held_out: str) -> str:
    reconstruction, priors = metrics["reconstruction"], metrics["priors"][held_out]
    codes = metrics["codes"]
    perplexities = " / ".join(
        f"{codes[level]['codebook_perplexity']:.0f}" for level in ("top", "bottom")
    )
    shown = [
        ("Reconstruction, PSNR", reconstruction["psnr"], "decibels", " dB"),
        ("Reconstruction, SSIM", reconstruction["ssim"], "number", ""),
        ("Cost under both priors", priors["bits_per_pixel"], "number", " bits/pixel"),
        ("Top prior saves", priors["top"]["saved_over_unigram"], "percent", ""),
        ("Bottom prior saves", priors["bottom"]["saved_over_unigram"], "percent", ""),
        *_compared(metrics),
    ]
    items = "".join(
        f"<div><dt>{name}</dt><dd>{number(figure['value'], style)}"
        f"<small>{unit}</small>"
        f"{interval_text(figure, style).replace('<small', '<small class=below')}"
        "</dd></div>"
        for name, figure, style, unit in shown
    )
    items += (
        "<div><dt>Codebook perplexity</dt>"
        f"<dd>{perplexities}<small class=below>of {codes['num_embeddings']} codes"
        "</small></dd></div>"
    )
    return f'<dl class="key-figures">{items}</dl>'


def _compared(metrics: _Metrics) -> list[tuple[str, _Metrics, str, str]]:
    """Returns how many cells show their label, and what is covered of real cells."""
    found = []
    agreement = metrics["generation"]["label_agreement"]
    if "generated" in agreement:
        share = agreement["generated"]["accuracy"]
        found.append(("Labels recognised", share, "percent", ""))
    for name, one in metrics["generation"]["distances"].items():
        if coverage := one["sets"]["generated"]["coverage"]:
            found.append((f"Coverage, {escape(name)}", coverage, "percent", ""))
    return found


def _reconstructions(pictures: Pictures, held_out: str) -> str:
    crops = []
    for views in pictures.reconstructions:
        labels = label_text(views["original"])
        cells = "".join(
            f"<div>{picture(view.image, f'{name}: {labels}')}<b>{name}</b></div>"
            for name, view in views.items()
        )
        crops.append(
            f'<div class="crop"><h3>{escape(labels)}</h3>'
            f'<div class="columns">{cells}</div></div>'
        )
    return section(
        "Reconstructions",
        f"Crops of the split {held_out}, what comes back from both code maps, and what "
        "either level carries alone: the other one's codes are replaced by their mean. "
        "All pictures of this page are brightened alike, by one factor a channel.",
        f'<div class="crops">{"".join(crops)}</div>',
    )


def _cells(metrics: _Metrics, pictures: Pictures, held_out: str) -> str:
    about = metrics["provenance"]["model"]
    rows = []
    for label, (generated, real) in pictures.by_kind.items():
        rows.append(
            f'<div class="pair"><h3>{escape(label)}</h3>'
            f"<div><b>generated</b>{_strip(generated, about['id'])}</div>"
            f"<div><b>real ({held_out})</b>{_strip(real, about['id'])}</div></div>"
        )
    return section(
        "Generated cells beside real ones",
        "Each generated cell was asked for with the labels of the real crop in the "
        f"same place. {_colours(about)} Rest the pointer on a cell for its labels and "
        "seed.",
        f"<div>{''.join(rows)}</div>",
    )


def _colours(about: Mapping[str, Any]) -> str:
    """Says which channel is shown in which colour, and which is not shown."""
    display = about["display"]
    shown = ", ".join(
        colour if colour == channel else f"{channel} as {colour}"
        for colour, channel in display.items()
        if channel
    )
    hidden = [x for x in about["channels"] if x not in display.values()]
    beside = f"; not shown: {', '.join(hidden)}" if hidden else ""
    return escape(f"Channels shown: {shown}{beside}.")


def _strip(cells: Sequence[Picture], model: str) -> str:
    images = "".join(cell_picture(cell, "real", model) for cell in cells)
    return f'<div class="strip">{images}</div>'


def _levels(metrics: _Metrics, trained_on: str, held_out: str) -> str:
    return section(
        "Do both levels work?",
        "A codebook perplexity near the number of codes means that all are used alike, "
        "near 1 that the level says nothing. A prior is worth something where a code "
        "costs clearly less than by its frequency alone, on crops it has not seen too.",
        verdict_list(verdicts(metrics, trained_on, held_out))
        + tables.levels(metrics)
        + tables.priors(metrics, held_out),
    )


def _curves(curves: Sequence[Curve]) -> str:
    return section(
        "Learning curves",
        "As written down while the stages trained: figures in training are means over "
        "the last steps, with everything that makes training harder; held-out figures "
        "are those of the validation split.",
        charts(curves),
    )


def _numbers(metrics: _Metrics) -> str:
    return section(
        "Reconstruction in numbers",
        "Pixels are in [0, 1]. Power kept is that of all reconstructions over that "
        "of all originals in a band of spatial frequency: above half Nyquist lie grain "
        "and the finest fibres.",
        tables.reconstruction(metrics) + _spectra(metrics),
    ) + section(
        "Intensity, label by label",
        "The mean of each channel over the cells of a label, a dot a label. On the "
        "line real and generated cells are alike.",
        _intensities(metrics)
        + "<details><summary>The same as a table</summary>"
        + f"{tables.intensities(metrics)}</details>",
    )


def _spectra(metrics: _Metrics) -> str:
    spectrum = metrics["reconstruction"]["power_spectrum"]
    frequencies = spectrum["cycles_per_pixel"]
    found = []
    for name, powers in spectrum["channels"].items():
        lines = [
            Series(side, list(zip(frequencies, powers[side], strict=True)), colour)
            for side, colour in (("original", 1), ("reconstruction", 2))
        ]
        chart = line_chart(lines, x="cycles per pixel", y="mean power", log=True)
        if chart:
            found.append(Curve(f"Power: {name}", chart))
    return charts(found)


def _intensities(metrics: _Metrics) -> str:
    means = metrics["generation"]["mean_intensity"]
    found = []
    for channel in metrics["provenance"]["model"]["channels"]:
        points = [
            (
                means["real"][label]["channels"][channel]["value"],
                made["channels"][channel]["value"],
                label,
            )
            for label, made in means["generated"].items()
        ]
        chart = scatter_chart(points, x="real", y="generated", colour=2)
        if chart:
            found.append(Curve(channel, chart))
    return charts(found)


def _origin(metrics: _Metrics) -> str:
    provenance, generation = metrics["provenance"], metrics["generation"]
    about = provenance["model"]
    settings = ", ".join(f"{k} {v:g}" for k, v in generation["settings"].items())
    first, number_of = generation["seed"], generation["num_samples"]
    return section(
        "How this was made",
        "",
        facts(
            {
                "Command": f"<code>{escape(provenance['command'])}</code>",
                "Trained": ", ".join(
                    f"{name} {step:,} steps" for name, step in about["steps"].items()
                ),
                "Generated": f"{number_of:,} cells, seeds {first} to "
                f"{first + number_of - 1}; {settings}; labels: "
                f"{escape(generation['labels'])}",
                "Fingerprints": "<br>".join(
                    f"{name} <code>{value}</code>"
                    for name, value in about["fingerprints"].items()
                ),
                "Versions": escape(
                    ", ".join(f"{k} {v}" for k, v in provenance["versions"].items())
                ),
            }
        ),
    )
