"""Sentences that say what the metrics of a report mean."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from tfvqgen.evaluation.extractors import frechet_name
from tfvqgen.evaluation.image_sets import TRAINED_ON
from tfvqgen.models import LEVELS
from tfvqgen.training.stages import vqvae

# A prior that saves less than this share of the unigram cost has learned little; one
# whose cost is this much higher on held-out crops overfits.
LITTLE_SAVED = 0.15
WIDE_GAP = 0.15
# Smaller differences are not mentioned.
_NO_GAP = 0.005
# The smallest good share of the coverage of reconstructions, and of the accuracy on
# real crops.
ENOUGH = 0.8
# A classifier that recognizes fewer real crops cannot evaluate generated cells.
KNOWS = 0.4

_Metrics = Mapping[str, Any]


class Verdict(NamedTuple):
    """Says whether a metric is good, and why; the sentence has no full stop."""

    good: bool
    sentence: str


def all_verdicts(metrics: _Metrics, held_out: str) -> dict[str, list[Verdict]]:
    """Returns the verdicts by section of the page."""
    return {
        "levels": level_verdicts(metrics, held_out),
        "distances": distance_verdicts(metrics),
        "agreement": agreement_verdicts(metrics),
        "memorisation": memorisation_verdicts(metrics),
    }


def level_verdicts(metrics: _Metrics, held_out: str) -> list[Verdict]:
    """Evaluates both levels of the autoencoder and both priors."""
    codes = metrics["codes"]
    values = {"reconstruction_mse": metrics["reconstruction"]["mse"]["value"]}
    for level in LEVELS:
        values[f"{level}_only_mse"] = codes[f"{level}_only_mse"]["value"]
        for name in ("usage", "codebook_perplexity"):
            values[f"{level}_{name}"] = codes[level][name]
    found = [Verdict(False, warning) for warning in vqvae.level_warnings(values)]
    if not found:
        for level, without in (("top", "bottom_only_mse"), ("bottom", "top_only_mse")):
            factor = values[without] / values["reconstruction_mse"]
            sentence = (
                f"the {level} level contributes: the error is {factor:.1f} times as "
                "high without it"
            )
            found.append(Verdict(True, sentence))
    priors = metrics["priors"]
    for level in LEVELS:
        saved = priors[held_out][level]["saved_over_unigram"]["value"]
        cost = f"{saved:.0%} less than the unigram baseline"
        sentence = f"the {level} prior has learned: a code costs {cost}"
        if saved < LITTLE_SAVED:
            sentence = (
                f"the {level} prior has learned little: a code costs only {cost}. "
                "Train it longer, or check whether the level contributes"
            )
        found.append(Verdict(saved >= LITTLE_SAVED, sentence))
        if held_out != TRAINED_ON:
            new, old = (
                priors[split][level]["bits_per_code"]["value"]
                for split in (held_out, TRAINED_ON)
            )
            found.append(_gap(level, new / old - 1))
    return found


def _gap(level: str, gap: float) -> Verdict:
    costs = f"{abs(gap):.0%} {'more' if gap > 0 else 'less'} than training crops"
    if abs(gap) < _NO_GAP:
        costs = "the same as training crops"
    sentence = f"for the {level} prior, new crops cost {costs}"
    if gap > WIDE_GAP:
        sentence = (
            f"the {level} prior overfits: new crops cost {costs}. "
            "codes.symmetries=8, more dropout or a smaller width help"
        )
    return Verdict(gap <= WIDE_GAP, sentence)


def distance_verdicts(metrics: _Metrics) -> list[Verdict]:
    """Evaluates the coverage, and warns if there are too few crops."""
    found = []
    for name, one in metrics["generation"]["distances"].items():
        sets = one["sets"]
        generated = sets["generated"]["coverage"]
        reconstructions = sets.get("reconstructions", {}).get("coverage")
        if generated and reconstructions and reconstructions["value"]:
            share = generated["value"] / reconstructions["value"]
            sentence = (
                f"for {name} features, generated cells cover {share:.0%} of what "
                "reconstructions cover of real cells"
            )
            if share < ENOUGH:
                sentence += ": some kinds of cells are missing, or no cell looks real"
            found.append(Verdict(share >= ENOUGH, sentence))
        if one["n"] < one["features"]:
            sentence = (
                f"{frechet_name(name)} is measured on {one['n']:,} cells with "
                f"{one['features']:,} features: with so few cells it is large for any "
                "two sets. Compare it with the other rows only, or generate more "
                "cells and give the split more crops"
            )
            found.append(Verdict(False, sentence))
    return found


def agreement_verdicts(metrics: _Metrics) -> list[Verdict]:
    """Says whether labels are recognized as often as in real cells."""
    found = metrics["generation"]["label_agreement"]
    if "skipped" in found:
        return []
    generated, real = (found[x]["accuracy"]["value"] for x in ("generated", "real"))
    if None in (generated, real) or not real:
        return []
    sentence = (
        f"the classifier recognizes the requested label in {generated:.0%} of "
        f"generated cells, and the label in {real:.0%} of real ones"
    )
    if real < KNOWS:
        sentence += (
            ": it has learned too little to evaluate cells. Give the validation split "
            "more crops, of more wells"
        )
        return [Verdict(False, sentence)]
    good = generated >= ENOUGH * real
    if not good:
        sentence += ": guidance above 0, keep_best below 1 and longer training help"
    return [Verdict(good, sentence)]


def memorisation_verdicts(metrics: _Metrics) -> list[Verdict]:
    """Says whether generated cells are nearer to training crops than unseen ones."""
    found = []
    memorisation = metrics["memorisation"]
    for name, one in memorisation.items() if "skipped" not in memorisation else ():
        real = one["ratio"]["real"]
        if real is None or None in real["interval"]:
            continue
        good = one["ratio"]["generated"]["value"] >= real["interval"][0]
        sentence = (
            f"for {name} features, generated cells are {'no ' if good else ''}nearer "
            "to training crops than real cells that were never seen"
        )
        if not good:
            sentence += (
                ": look at the images below. More dropout, codes.symmetries=8 or fewer "
                "steps of the priors help"
            )
        found.append(Verdict(good, sentence))
    return found
