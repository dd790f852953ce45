"""What comparisons of generated with real cells mean, in sentences."""

from collections.abc import Mapping
from typing import Any

from tfvqgen.evaluation.extractors.extractor import frechet_name
from tfvqgen.evaluation.report.verdicts import Verdict

# Less of what the codes can show, or of the labels that can be recognised, is little.
ENOUGH = 0.8
# A judge that recognises less of real crops says little of generated ones.
KNOWS = 0.4

_Metrics = Mapping[str, Any]


def distance_verdicts(metrics: _Metrics) -> list[Verdict]:
    """Judges what is covered, and says where there are too few crops to tell."""
    found = []
    for name, one in metrics["generation"]["distances"].items():
        sets = one["sets"]
        coverages = [
            (sets.get(side) or {}).get("coverage")
            for side in ("generated", "reconstructions")
        ]
        if None not in coverages and coverages[1]["value"]:
            share = coverages[0]["value"] / coverages[1]["value"]
            found.append(_coverage(name, share))
        if one["n"] < one["features"]:
            found.append(
                Verdict(
                    False,
                    f"{frechet_name(name)} is of {one['n']:,} cells in "
                    f"{one['features']:,} features: with so few it is large for any "
                    "two sets; compare it with the other rows only, or draw more "
                    "cells and give the split more crops",
                )
            )
    return found


def agreement_verdicts(metrics: _Metrics) -> list[Verdict]:
    """Judges whether labels are recognised as often as in real cells."""
    found = metrics["generation"]["label_agreement"]
    generated, real = (found[x]["accuracy"]["value"] for x in ("generated", "real"))
    if None in (generated, real) or not real:
        return []
    sentence = (
        f"the label asked for is recognised in {generated:.0%} of generated cells, and "
        f"in {real:.0%} of real ones"
    )
    if real < KNOWS:
        return [
            Verdict(
                False,
                f"{sentence}: the classifier knows too little to judge by; give the "
                "validation split more crops, of more wells",
            )
        ]
    if generated >= ENOUGH * real:
        return [Verdict(True, sentence)]
    hint = "guidance above 0, keep_best below 1 and longer training help"
    return [Verdict(False, f"{sentence}: {hint}")]


def memorisation_verdicts(metrics: _Metrics) -> list[Verdict]:
    """Judges whether generated cells are nearer to training crops than unseen ones."""
    verdicts = []
    for name, one in metrics["memorisation"].items():
        real = one["ratio"]["real"]
        if real is None or None in real["interval"]:
            continue
        value, low = one["ratio"]["generated"]["value"], real["interval"][0]
        if value >= low:
            sentence = (
                f"by {name} features generated cells are no nearer to training crops "
                "than real cells are that were never seen"
            )
        else:
            sentence = (
                f"by {name} features generated cells are nearer to training crops than "
                "real cells are that were never seen: look at the pictures below; more "
                "dropout, codes.symmetries=8 or fewer steps of the priors help"
            )
        verdicts.append(Verdict(value >= low, sentence))
    return verdicts


def _coverage(name: str, share: float) -> Verdict:
    sentence = (
        f"by {name} features generated cells cover {share:.0%} of what "
        "reconstructions cover of real cells"
    )
    if share >= ENOUGH:
        return Verdict(True, sentence)
    return Verdict(
        False, f"{sentence}: some kinds of cells are missing, or none looks real"
    )
