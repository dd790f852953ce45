"""What the figures mean, in sentences."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from tfvqgen.evaluation.real_crops import LEVELS
from tfvqgen.evaluation.sections import level_figures
from tfvqgen.training import health

# A prior that saves less than this share of what the codes' frequencies alone cost has
# learnt little; one that costs so much more held out than in training repeats it.
LITTLE_SAVED = 0.15
WIDE_GAP = 0.15


class Verdict(NamedTuple):
    """A judgement.

    Attributes:
        healthy: Whether there is nothing to mend.
        sentence: Why, and what to do if there is.
    """

    healthy: bool
    sentence: str


def level_verdicts(metrics: Mapping[str, Any]) -> dict[str, list[Verdict]]:
    """Judges both levels of the autoencoder as training does."""
    figures = level_figures(metrics)
    warnings = health.level_warnings(figures)
    without = {"top": "bottom_only_mse", "bottom": "top_only_mse"}
    verdicts = {}
    for level in LEVELS:
        own = [text for text in warnings if text.startswith(f"the {level} ")]
        times = figures[without[level]] / figures["reconstruction_mse"]
        verdicts[level] = [Verdict(False, text) for text in own] or [
            Verdict(
                True,
                f"carries its share: without it the error is {times:.1f} times as high",
            )
        ]
    return verdicts


def prior_verdicts(
    metrics: Mapping[str, Any], trained_on: str, held_out: str
) -> dict[str, list[Verdict]]:
    """Judges both priors by what they save, and by what they save of new crops.

    Args:
        metrics: The contents of ``metrics.json``.
        trained_on: The split that the priors were trained on.
        held_out: The split that they are judged on.
    """
    verdicts = {}
    for level in LEVELS:
        trained = metrics["priors"][trained_on][level]["bits_per_code"]["value"]
        found = metrics["priors"][held_out][level]
        saved = found["saved"]["value"]
        gap = found["bits_per_code"]["value"] / trained - 1
        verdicts[level] = [_saving(saved), _gap(gap)]
        if held_out == trained_on:
            verdicts[level].pop()
    return verdicts


def _saving(saved: float) -> Verdict:
    costs = f"costs {saved:.0%} less than by the codes' frequencies alone"
    if saved < LITTLE_SAVED:
        return Verdict(
            False,
            f"{costs}, which is little: train it longer, or look whether the level "
            "carries anything",
        )
    return Verdict(True, costs)


def _gap(gap: float) -> Verdict:
    if abs(gap) < 0.005:
        return Verdict(True, "held-out crops cost as much as training crops")
    more = f"{abs(gap):.0%} {'more' if gap > 0 else 'less'}"
    held_out = f"held-out crops cost {more} than training crops"
    if gap > WIDE_GAP:
        return Verdict(
            False,
            f"{held_out}, which it begins to know by heart: codes.symmetries=8, more "
            "dropout or a smaller width help",
        )
    return Verdict(True, held_out)
