import pytest

from tfvqgen.evaluation.report.comparison_verdicts import (
    agreement_verdicts,
    distance_verdicts,
    memorisation_verdicts,
)


def figure(value, low=None, high=None):
    return {"value": value, "interval": [low, high]}


def distances(generated, reconstructions, n=500):
    sets = {
        name: {"coverage": None if value is None else figure(value)}
        for name, value in (
            ("generated", generated),
            ("reconstructions", reconstructions),
        )
    }
    one = {"n": n, "features": 224, "sets": sets}
    return {"generation": {"distances": {"random": one}}}


@pytest.mark.parametrize(
    ("generated", "healthy", "words"),
    [(0.9, True, "cover 100% of"), (0.6, False, "cover 67% of")],
)
def test_coverage_is_judged_by_that_of_reconstructions(generated, healthy, words):
    ((found, sentence),) = distance_verdicts(distances(generated, 0.9))
    assert found == healthy and words in sentence


def test_fewer_cells_than_features_are_said():
    _, (healthy, sentence) = distance_verdicts(distances(0.9, 0.9, n=100))
    assert not healthy and "FD-random is of 100 cells in 224 features" in sentence


def test_where_coverage_could_not_be_measured_nothing_is_said_of_it():
    assert distance_verdicts(distances(None, None)) == []
    assert distance_verdicts(distances(0.0, 0.0)) == []


def agreement(generated, real):
    sides = {"generated": generated, "real": real}
    found = {name: {"accuracy": figure(value)} for name, value in sides.items()}
    return {"generation": {"label_agreement": found}}


def test_labels_are_judged_by_how_often_real_ones_are_recognised():
    ((healthy, sentence),) = agreement_verdicts(agreement(0.7, 0.8))
    assert healthy and "70% of generated cells" in sentence
    ((healthy, sentence),) = agreement_verdicts(agreement(0.5, 0.8))
    assert not healthy and "guidance" in sentence
    ((healthy, sentence),) = agreement_verdicts(agreement(0.2, 0.2))
    assert not healthy and "knows too little" in sentence
    assert agreement_verdicts(agreement(None, 0.8)) == []
    assert agreement_verdicts(agreement(0.5, 0.0)) == []


def memory(value, low, high):
    ratio = {"generated": figure(value), "real": figure((low + high) / 2, low, high)}
    return {"memorisation": {"random": {"ratio": ratio}}}


@pytest.mark.parametrize(
    ("value", "healthy"), [(0.95, True), (1.4, True), (0.8, False)]
)
def test_only_cells_nearer_than_unseen_ones_are_called_so(value, healthy):
    ((found, sentence),) = memorisation_verdicts(memory(value, 0.9, 1.0))
    assert found == healthy
    assert ("no nearer" in sentence) == healthy


def test_without_unseen_cells_nothing_is_said():
    found = memory(0.5, 0.9, 1.0)
    found["memorisation"]["random"]["ratio"]["real"] = None
    assert memorisation_verdicts(found) == []
