"""Keras layers that the models are made of."""

from tfvqgen.layers.causal_attention import CausalAttention
from tfvqgen.layers.causal_conv import CausalConv2D
from tfvqgen.layers.gated_units import GatedCausalUnit, GatedPointwiseUnit
from tfvqgen.layers.noise_synthesis import NoiseSynthesis, noise_like, seeds_of_codes
from tfvqgen.layers.residual_stack import ConditionStack, ResidualStack
from tfvqgen.layers.vector_quantizer import VectorQuantizer, VectorQuantizerOutput

__all__ = [
    "CausalAttention",
    "CausalConv2D",
    "ConditionStack",
    "GatedCausalUnit",
    "GatedPointwiseUnit",
    "NoiseSynthesis",
    "ResidualStack",
    "VectorQuantizer",
    "VectorQuantizerOutput",
    "noise_like",
    "seeds_of_codes",
]
