"""Keras layers that the models are made of."""

from tfvqgen.layers.causal_attention import CausalAttention
from tfvqgen.layers.causal_conv import CausalConv2D
from tfvqgen.layers.condition_stack import ConditionStack
from tfvqgen.layers.gated_residual import GatedResidual, PointwiseGated
from tfvqgen.layers.residual_stack import ResidualStack
from tfvqgen.layers.vector_quantizer import VectorQuantizer, VectorQuantizerOutput

__all__ = [
    "CausalAttention",
    "CausalConv2D",
    "ConditionStack",
    "GatedResidual",
    "PointwiseGated",
    "ResidualStack",
    "VectorQuantizer",
    "VectorQuantizerOutput",
]
