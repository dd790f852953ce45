import copy

import pytest

from tfvqgen.evaluation.report.verdicts import verdicts


def level():
    return {"usage": 0.9, "codebook_perplexity": 200.0}


def costs(bits):
    return {
        name: {
            "bits_per_code": {"value": bits},
            "saved_over_unigram": {"value": 1 - bits / 8},
        }
        for name in ("top", "bottom")
    }


HEALTHY = {
    "reconstruction": {"mse": {"value": 0.005}},
    "codes": {
        "top": level(),
        "bottom": level(),
        "top_only_mse": {"value": 0.02},
        "bottom_only_mse": {"value": 0.015},
    },
    "priors": {"train": costs(5.0), "test": costs(5.5)},
}


def changed(value, *path):
    metrics = copy.deepcopy(HEALTHY)
    inner = metrics
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    return metrics


def bad(metrics, held_out="test"):
    found = verdicts(metrics, "train", held_out)
    return [sentence for healthy, sentence in found if not healthy]


def test_healthy_levels_and_priors_are_told_why():
    found = verdicts(HEALTHY, "train", "test")
    assert all(healthy for healthy, _ in found)
    assert [sentence for _, sentence in found] == [
        "the top level carries its share: without it the error is 3.0 times as high",
        "the bottom level carries its share: without it the error is 4.0 times as high",
        "the top prior has learnt: a code costs 31% less than by its frequency alone",
        "to the top prior new crops cost 10% more than those it learnt",
        "the bottom prior has learnt: a code costs 31% less than by its frequency "
        "alone",
        "to the bottom prior new crops cost 10% more than those it learnt",
    ]


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        (changed(1.1, "codes", "top", "codebook_perplexity"), "top level is trivial"),
        (changed(0.01, "codes", "bottom", "usage"), "bottom codebook has collapsed"),
        (
            changed({"value": 0.1}, "priors", "test", "top", "saved_over_unigram"),
            "top prior has learnt little",
        ),
        (
            changed({"value": 6.5}, "priors", "test", "bottom", "bits_per_code"),
            "bottom prior knows its crops by heart: new ones cost 30% more",
        ),
    ],
)
def test_what_is_wrong_is_said_once(metrics, words):
    (sentence,) = bad(metrics)
    assert words in sentence


def test_without_new_crops_nothing_is_said_of_them():
    sentences = [sentence for _, sentence in verdicts(HEALTHY, "train", "train")]
    assert not any("new crops" in sentence for sentence in sentences)
