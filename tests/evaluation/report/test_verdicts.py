import pytest

from tfvqgen.evaluation.report.verdicts import (
    agreement_verdicts,
    distance_verdicts,
    level_verdicts,
    memorisation_verdicts,
)


def metric(value, low=None, high=None):
    return {"value": value, "interval": [low, high]}


def level_metrics(perplexity=200.0, usage=0.9, bits=5.5, saved=0.31):
    """Returns metrics of which those of the top level and top prior are given."""
    good = {"usage": 0.9, "codebook_perplexity": 200.0}

    def costs(bits, saved):
        return {"bits_per_code": metric(bits), "saved_over_unigram": metric(saved)}

    return {
        "reconstruction": {"mse": metric(0.005)},
        "codes": {
            "top": {"usage": usage, "codebook_perplexity": perplexity},
            "bottom": good,
            "top_only_mse": metric(0.02),
            "bottom_only_mse": metric(0.015),
        },
        "priors": {
            "train": dict.fromkeys(("top", "bottom"), costs(5.0, 0.4)),
            "test": {"top": costs(bits, saved), "bottom": costs(5.5, 0.31)},
        },
    }


def test_good_levels_and_priors_are_explained():
    found = level_verdicts(level_metrics(), "test")
    assert all(good for good, _ in found) and len(found) == 6
    for words in ("3.0 times as high", "costs 31% less", "new crops cost 10% more"):
        assert any(words in sentence for _, sentence in found)
    on_training = [sentence for _, sentence in level_verdicts(level_metrics(), "train")]
    assert not any("new crops" in sentence for sentence in on_training)


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        ({"perplexity": 1.1}, "top level is trivial"),
        ({"usage": 0.01}, "top codebook has collapsed"),
        ({"saved": 0.1}, "top prior has learned little"),
        ({"bits": 6.5}, "top prior overfits: new crops cost 30% more"),
    ],
)
def test_a_problem_of_a_level_or_prior_gives_one_bad_verdict(problem, words):
    found = level_verdicts(level_metrics(**problem), "test")
    (sentence,) = (sentence for good, sentence in found if not good)
    assert words in sentence


def distances(generated, reconstructions):
    sides = {"generated": generated, "reconstructions": reconstructions}
    sets = {
        name: {"coverage": None if value is None else metric(value)}
        for name, value in sides.items()
    }
    one = {"n": 500, "features": 224, "sets": sets}
    return {"generation": {"distances": {"random": one}}}


def test_coverage_is_compared_with_that_of_reconstructions():
    ((good, sentence),) = distance_verdicts(distances(0.9, 0.9))
    assert good and "cover 100% of" in sentence
    ((good, sentence),) = distance_verdicts(distances(0.6, 0.9))
    assert not good and "cover 67% of" in sentence
    for nothing in (None, 0.0):
        assert distance_verdicts(distances(nothing, nothing)) == []


@pytest.mark.parametrize(
    ("generated", "real", "good", "words"),
    [
        (0.7, 0.8, True, "70% of generated cells"),
        (0.5, 0.8, False, "guidance"),
        (0.2, 0.2, False, "has learned too little"),
    ],
)
def test_label_agreement_is_compared_with_real_cells(generated, real, good, words):
    agreement = {"generated": {"accuracy": metric(generated)}}
    agreement["real"] = {"accuracy": metric(real)}
    metrics = {"generation": {"label_agreement": agreement}}
    (found,) = agreement_verdicts(metrics)
    assert found.good == good and words in found.sentence
    agreement["real"]["accuracy"]["value"] = None
    assert agreement_verdicts(metrics) == []


@pytest.mark.parametrize(("value", "good"), [(0.95, True), (1.4, True), (0.8, False)])
def test_only_cells_below_the_interval_of_real_ones_are_called_nearer(value, good):
    ratio = {"generated": metric(value), "real": metric(0.95, 0.9, 1.0)}
    metrics = {"memorisation": {"random": {"ratio": ratio}}}
    ((found, sentence),) = memorisation_verdicts(metrics)
    assert found == good == ("no nearer" in sentence)
    ratio["real"] = None
    assert memorisation_verdicts(metrics) == []
