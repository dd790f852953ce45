"""Whether both levels of the autoencoder carry their share, and of its critic."""

from collections.abc import Mapping

import numpy as np

from tfvqgen.layers import vector_quantizer

# A top level that one code nearly describes, and one whose loss costs less than this.
TRIVIAL_PERPLEXITY = 1.5
FREE_TO_DROP = 1.05
COLLAPSED_USAGE = 0.05
# A critic that is hardly ever wrong, and what it may cost the use of codes.
WON_ACCURACY = 0.97
LOST_PERPLEXITY = 0.5


def usage(counts: np.ndarray) -> float:
    """Returns the share of codes that were used at all.

    Args:
        counts: How often each code was used, [K].
    """
    return float(np.mean(np.asarray(counts) > 0))


def codebook_perplexity(counts: np.ndarray) -> float:
    """Returns exp of the entropy of code use, between 1 and K.

    Args:
        counts: How often each code was used, [K].
    """
    return float(vector_quantizer.codebook_perplexity(np.asarray(counts, np.float64)))


def level_warnings(figures: Mapping[str, float]) -> list[str]:
    """Returns in words what is wrong with the levels, and what to change.

    Args:
        figures: A validation's ``top_codebook_perplexity``,
            ``bottom_codebook_perplexity``, ``top_usage``, ``bottom_usage``,
            ``reconstruction_mse``, ``top_only_mse`` and ``bottom_only_mse``.
    """
    warnings = []
    remedy = (
        "the prior of a top level like this learns nothing. Start again with "
        "--set vqvae.bottom_dropout=0.25, which makes the decoder need the top codes"
    )
    if figures["top_codebook_perplexity"] < TRIVIAL_PERPLEXITY:
        warnings.append(
            "the top level is trivial: its codes are nearly constant (perplexity "
            f"{figures['top_codebook_perplexity']:.2f}); {remedy}"
        )
    elif figures["bottom_only_mse"] < FREE_TO_DROP * figures["reconstruction_mse"]:
        warnings.append(
            "the top level is not used: reconstructions without it are as good "
            f"(squared error {figures['bottom_only_mse']:.2e} against "
            f"{figures['reconstruction_mse']:.2e}); {remedy}"
        )
    if figures["top_only_mse"] < FREE_TO_DROP * figures["reconstruction_mse"]:
        warnings.append(
            "the bottom level is not used: reconstructions from the top alone are as "
            f"good (squared error {figures['top_only_mse']:.2e} against "
            f"{figures['reconstruction_mse']:.2e}). Lower vqvae.bottom_dropout"
        )
    for level in ("top", "bottom"):
        if figures[f"{level}_usage"] < COLLAPSED_USAGE:
            warnings.append(
                f"the {level} codebook has collapsed: {figures[f'{level}_usage']:.1%} "
                "of its codes are in use. Let dead codes be revived "
                "(vqvae.dead_code_threshold above 0) or choose a smaller "
                "vqvae.num_embeddings"
            )
    return warnings


def perplexities(figures: Mapping[str, float]) -> dict[str, float]:
    """Returns the codebook perplexities among a validation's figures."""
    return {n: v for n, v in figures.items() if n.endswith("_codebook_perplexity")}


def critic_warnings(
    figures: Mapping[str, float], before: Mapping[str, float]
) -> list[str]:
    """Returns in words what is wrong since a critic pulls, and what to change.

    Args:
        figures: A validation's: those of :func:`level_warnings`,
            ``critic_accuracy_real`` and ``critic_accuracy_fake``.
        before: The :func:`perplexities` before the critic pulled, where they are known.
    """
    warnings = []
    accuracy = min(figures["critic_accuracy_real"], figures["critic_accuracy_fake"])
    if accuracy > WON_ACCURACY:
        warnings.append(
            f"the critic has won: it tells {accuracy:.1%} of held-out patches from "
            "their reconstructions, and its pull says little about cells. Lower "
            "vqvae.critic_learning_rate or raise vqvae.adversarial_weight"
        )
    for name, perplexity in before.items():
        if figures[name] < LOST_PERPLEXITY * perplexity:
            level = name.partition("_")[0]
            warnings.append(
                f"the {level} codes are used less since the critic pulls (perplexity "
                f"{figures[name]:.0f} after {perplexity:.0f}). Lower "
                "vqvae.adversarial_weight or raise vqvae.adversarial_after"
            )
    return warnings
