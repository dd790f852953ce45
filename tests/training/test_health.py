import numpy as np
import pytest

from tfvqgen.training.stages.vqvae import codebook_perplexity, level_warnings, usage

HEALTHY = {
    "reconstruction_mse": 0.005,
    "top_only_mse": 0.02,
    "bottom_only_mse": 0.015,
    "top_usage": 0.9,
    "bottom_usage": 0.9,
    "top_codebook_perplexity": 200.0,
    "bottom_codebook_perplexity": 200.0,
}


def test_usage_and_perplexity_have_their_closed_forms():
    assert usage(np.array([3, 0, 1, 0])) == 0.5
    assert codebook_perplexity(np.array([5, 5, 0])) == pytest.approx(2)
    assert codebook_perplexity(np.array([9, 0, 0])) == pytest.approx(1)
    assert codebook_perplexity(np.array([1, 3])) == pytest.approx(
        np.exp(-(0.25 * np.log(0.25) + 0.75 * np.log(0.75)))
    )


def test_healthy_levels_give_no_warning():
    assert level_warnings(HEALTHY) == []


@pytest.mark.parametrize(
    "figures,words",
    [
        ({"top_codebook_perplexity": 1.1}, "top level is trivial"),
        ({"bottom_only_mse": 0.0051}, "top level is not used"),
        ({"top_only_mse": 0.005}, "bottom level is not used"),
        ({"top_usage": 0.01}, "top codebook has collapsed"),
        ({"bottom_usage": 0.01}, "bottom codebook has collapsed"),
    ],
)
def test_an_unhealthy_level_is_named_with_what_to_change(figures, words):
    (warning,) = level_warnings({**HEALTHY, **figures})
    assert words in warning
    assert "vqvae." in warning
