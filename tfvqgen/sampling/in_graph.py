"""Runs a sampler as a graph also where it is called outside of one."""

import functools
import inspect
import weakref
from collections.abc import Callable
from typing import Any

import tensorflow as tf

# Settings that are numbers when they are off; any other number becomes a tensor, so
# that another value is not another graph.
OFF = {"temperature": 1.0, "top_p": 1.0, "guidance": 0.0}


def in_graph(sampler: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    """Makes a graph function of a sampler, one for each prior.

    Args:
        sampler: Takes a prior, seeds and the keyword arguments of a sampler. Called
            within a ``tf.function`` it becomes a part of that.
    """
    signature = inspect.signature(sampler)
    compiled: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()

    @functools.wraps(sampler)
    @tf.autograph.experimental.do_not_convert
    def call(prior: Any, seeds: Any, *arguments: Any, **named: Any) -> tf.Tensor:
        if tf.inside_function():
            return sampler(prior, seeds, *arguments, **named)
        bound = signature.bind(prior, seeds, *arguments, **named)
        if prior not in compiled:
            # What is kept as long as the prior must not keep the prior.
            reference = weakref.ref(prior)
            compiled[prior] = tf.function(
                lambda *args, **kwargs: sampler(reference(), *args, **kwargs),
                autograph=False,
            )
        tensors = {
            name: None if value is None else _tensor(name, value)
            for name, value in bound.arguments.items()
            if name not in ("prior", "seeds")
        }
        return compiled[prior](tf.convert_to_tensor(seeds, tf.int64), **tensors)

    return call


def _tensor(name, value):
    if name in OFF:
        is_off = isinstance(value, (int, float)) and value == OFF[name]
        return OFF[name] if is_off else tf.convert_to_tensor(value, tf.float32)
    return tf.convert_to_tensor(value)
