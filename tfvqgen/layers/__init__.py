"""Keras layers that the models are made of."""

from tfvqgen.layers.residual_stack import ResidualStack
from tfvqgen.layers.vector_quantizer import VectorQuantizer, VectorQuantizerOutput

__all__ = ["ResidualStack", "VectorQuantizer", "VectorQuantizerOutput"]
