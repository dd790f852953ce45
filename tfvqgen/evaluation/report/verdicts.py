"""What the figures mean, in sentences."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from tfvqgen.models import LEVELS
from tfvqgen.training.stages import vqvae

# A prior that saves less than this share of what the codes' frequencies alone cost has
# learnt little; one that costs so much more held out than in training repeats it.
LITTLE_SAVED = 0.15
WIDE_GAP = 0.15
# Less than people would read as a difference.
_NO_GAP = 0.005

_Metrics = Mapping[str, Any]


class Verdict(NamedTuple):
    """A judgement.

    Attributes:
        healthy: Whether there is nothing to mend.
        sentence: Why, and what to do if there is; without a full stop.
    """

    healthy: bool
    sentence: str


def verdicts(metrics: _Metrics, trained_on: str, held_out: str) -> list[Verdict]:
    """Judges both levels of the autoencoder and both priors.

    Args:
        metrics: The contents of ``metrics.json``.
        trained_on: The split that the priors were trained on.
        held_out: The split that they are judged on.
    """
    priors = metrics["priors"]
    found = _level_verdicts(metrics)
    for level in LEVELS:
        found.append(
            _saving(level, priors[held_out][level]["saved_over_unigram"]["value"])
        )
        if held_out != trained_on:
            costs = [
                priors[split][level]["bits_per_code"]["value"]
                for split in (held_out, trained_on)
            ]
            found.append(_gap(level, costs[0] / costs[1] - 1))
    return found


def _level_verdicts(metrics: _Metrics) -> list[Verdict]:
    """Judges the levels as training does; without a warning, each is praised."""
    figures = _level_figures(metrics)
    warnings = vqvae.level_warnings(figures)
    if warnings:
        return [Verdict(False, warning) for warning in warnings]
    without = {"top": "bottom_only_mse", "bottom": "top_only_mse"}
    return [
        Verdict(
            True,
            f"the {level} level carries its share: without it the error is "
            f"{figures[without[level]] / figures['reconstruction_mse']:.1f} times as "
            "high",
        )
        for level in LEVELS
    ]


def _level_figures(metrics: _Metrics) -> dict[str, float]:
    """Returns what :func:`vqvae.level_warnings` asks for."""
    codes = metrics["codes"]
    return {
        "reconstruction_mse": metrics["reconstruction"]["mse"]["value"],
        "top_only_mse": codes["top_only_mse"]["value"],
        "bottom_only_mse": codes["bottom_only_mse"]["value"],
        **{
            f"{level}_{name}": codes[level][name]
            for level in LEVELS
            for name in ("usage", "codebook_perplexity")
        },
    }


def _saving(level: str, saved: float) -> Verdict:
    if saved < LITTLE_SAVED:
        return Verdict(
            False,
            f"the {level} prior has learnt little: a code costs only {saved:.0%} less "
            "than by its frequency alone. Train it longer, or look whether the level "
            "carries anything",
        )
    return Verdict(
        True,
        f"the {level} prior has learnt: a code costs {saved:.0%} less than by its "
        "frequency alone",
    )


def _gap(level: str, gap: float) -> Verdict:
    if abs(gap) < _NO_GAP:
        return Verdict(True, f"to the {level} prior new crops are as likely as its own")
    costs = f"cost {abs(gap):.0%} {'more' if gap > 0 else 'less'} than those it learnt"
    if gap > WIDE_GAP:
        return Verdict(
            False,
            f"the {level} prior knows its crops by heart: new ones {costs}. "
            "codes.symmetries=8, more dropout or a smaller width help",
        )
    return Verdict(True, f"to the {level} prior new crops {costs}")
