"""The tables of a report, from the contents of ``metrics.json``."""

from collections.abc import Mapping
from html import escape
from typing import Any

from tfvqgen.evaluation.report.markup import (
    NOTHING,
    figure_text,
    number,
    table,
)
from tfvqgen.models import LEVELS

_Metrics = Mapping[str, Any]


def levels(metrics: _Metrics) -> str:
    """Returns how both levels of the autoencoder are used."""
    codes, error = metrics["codes"], metrics["reconstruction"]["mse"]
    without = {"top": "bottom_only_mse", "bottom": "top_only_mse"}
    shapes = metrics["provenance"]["model"]
    rows = [
        [
            level,
            " &times; ".join(map(str, shapes[f"{level}_shape"])),
            f"{codes[level]['usage']:.1%}",
            f"{codes[level]['codebook_perplexity']:.0f} of {codes['num_embeddings']}",
            f"{codes[level]['entropy_bits']:.2f} bits",
            figure_text(codes[without[level]]),
        ]
        for level in LEVELS
    ]
    caption = (
        f"Codes of {_n(codes)}. Squared error from both levels "
        f"{number(error['value'])}, of the mean image, which needs no codes, "
        f"{number(codes['mean_image_mse']['value'])}. {_intervals(codes)}"
    )
    header = [
        "Level",
        "Codes",
        "In use",
        "Perplexity",
        "Entropy",
        "Error without it",
    ]
    return table(header, rows, caption)


def priors(metrics: _Metrics, held_out: str) -> str:
    """Returns what codes cost under the priors."""
    found = metrics["priors"]
    rows = []
    for level in LEVELS:
        for split in found:
            costs = found[split][level]
            rows.append(
                [
                    level,
                    f"{escape(split)}, n = {found[split]['n']:,}",
                    figure_text(costs["nats_per_code"]),
                    figure_text(costs["bits_per_code"]),
                    figure_text(costs["unigram_bits_per_code"]),
                    figure_text(costs["saved_over_unigram"], "percent"),
                ]
            )
    header = ["Prior", "Crops", "Nats", "Bits", "By frequency", "Saved"]
    per_pixel = ", ".join(
        f"{number(found[split]['bits_per_pixel']['value'])} ({split})"
        for split in found
    )
    caption = (
        "Cost of a code, given the labels. Both code maps together, in bits per pixel: "
        f"{per_pixel}. {_intervals(found[held_out])}"
    )
    return table(header, rows, caption)


def reconstruction(metrics: _Metrics) -> str:
    """Returns the measures of reconstructions, over all channels and of each."""
    found = metrics["reconstruction"]
    columns = {
        "Squared error": ("mse", "number"),
        "PSNR, dB": ("psnr", "decibels"),
        "SSIM": ("ssim", "number"),
        "Power kept, ¼ to ½ Nyquist": ("power_kept_quarter_to_half_nyquist", "percent"),
        "Power kept, above ½": ("power_kept_above_half_nyquist", "percent"),
    }
    rows = [
        [
            "all",
            *(
                figure_text(found[name], style) if "value" in found[name] else ""
                for name, style in columns.values()
            ),
        ]
    ]
    rows += [
        [
            escape(channel),
            *(
                figure_text(found[name]["channels"][channel], style)
                for name, style in columns.values()
            ),
        ]
        for channel in found["mse"]["channels"]
    ]
    caption = f"Reconstructions of {_n(found)}. {_intervals(found)}"
    return table(["Channel", *columns], rows, caption)


def intensities(metrics: _Metrics) -> str:
    """Returns mean intensities of real and generated cells by label and channel."""
    generation = metrics["generation"]
    channels = metrics["provenance"]["model"]["channels"]
    rows = []
    for label, real in generation["mean_intensity"]["real"].items():
        generated = generation["mean_intensity"]["generated"].get(label)
        for side, found in (("real", real), ("generated", generated)):
            means = found["channels"] if found else {}
            rows.append(
                [
                    escape(label) if side == "real" else "",
                    side,
                    f"{found['n']:,}" if found else "0",
                    *(
                        figure_text(means[channel]) if found else NOTHING
                        for channel in channels
                    ),
                ]
            )
    header = ["Label", "", "n", *map(escape, channels)]
    return table(header, rows, f"Mean intensity. {_intervals(generation)}")


def _n(section: Mapping[str, Any]) -> str:
    return f"{section['n']:,} crops of the split {section['split']}"


def _intervals(section: Mapping[str, Any]) -> str:
    return (
        f"Small: {section['confidence']:.0%} intervals, bootstrap over crops "
        f"({section['resamples']:,} drawings, seed {section['seed']})."
    )
