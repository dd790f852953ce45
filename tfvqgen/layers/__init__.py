"""Keras layers that the models are made of."""

from tfvqgen.layers.causal_attention import CausalAttention
from tfvqgen.layers.causal_conv import CausalConv2D
from tfvqgen.layers.condition_stack import ConditionStack
from tfvqgen.layers.gated_units import GatedCausalUnit, GatedPointwiseUnit
from tfvqgen.layers.grain import Grain, noise_like, seeds_of_codes
from tfvqgen.layers.residual_stack import ResidualStack
from tfvqgen.layers.vector_quantizer import VectorQuantizer, VectorQuantizerOutput

__all__ = [
    "CausalAttention",
    "CausalConv2D",
    "ConditionStack",
    "GatedCausalUnit",
    "GatedPointwiseUnit",
    "Grain",
    "ResidualStack",
    "VectorQuantizer",
    "VectorQuantizerOutput",
    "noise_like",
    "seeds_of_codes",
]
