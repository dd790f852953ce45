"""Ancestral sampling from autoregressive priors."""

from tfvqgen.sampling.ancestral import ancestral_sample, ancestral_sample_reference

__all__ = ["ancestral_sample", "ancestral_sample_reference"]
