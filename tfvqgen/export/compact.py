"""Makes a saved graph smaller without changing what it computes.

A server copies and optimizes all functions whenever it prepares a graph: what they
contain twice, or for nothing, is paid for at every start.
"""

import os
from collections import Counter
from pathlib import Path

from tensorflow.core.framework import function_pb2, node_def_pb2
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry
from tensorflow.python.saved_model import fingerprinting_utils

from tfvqgen.generation.saved_model import GRAPH

_SHAPES = "_output_shapes"
_WITH_FUNCTIONS = ("While", "StatelessWhile", "If", "StatelessIf")


def compact(path: str | os.PathLike) -> None:
    """Rewrites a SavedModel's file.

    Every constant is there once in a function; what is not used is left out, and so are
    notes of shapes, which whoever loads it finds out again. Nodes are called by their
    operation and a number: by TensorFlow's own names, which tell all scopes around a
    node and differ from process to process, they take twice the bytes.

    Args:
        path: The folder with ``saved_model.pb``, not yet in use by anybody.
    """
    file = Path(path) / GRAPH
    model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    for meta_graph in model.meta_graphs:
        library = meta_graph.graph_def.library
        stateful = {
            f.signature.name for f in library.function if f.signature.is_stateful
        }
        for function in library.function:
            _merge_constants(function)
            _drop_unused(function, stateful)
            _drop_shapes(function)
            _shorten_names(function)
    file.write_bytes(model.SerializeToString(deterministic=True))
    # It is of the file.
    fingerprinting_utils.write_fingerprint(os.fspath(path))


def _merge_constants(function: function_pb2.FunctionDef) -> None:
    first: dict[bytes, str] = {}
    same: dict[str, str] = {}
    for node in function.node_def:
        if node.op == "Const" and not node.input:
            same[node.name] = first.setdefault(_value(node), node.name)
    _rename_inputs(function, same)


def _value(node: node_def_pb2.NodeDef) -> bytes:
    return node.attr["value"].SerializeToString(deterministic=True)


def _rename_inputs(function: function_pb2.FunctionDef, new: dict[str, str]) -> None:
    for node in function.node_def:
        node.input[:] = [_renamed(name, new) for name in node.input]
    for returned in (function.ret, function.control_ret):
        for output, name in dict(returned).items():
            returned[output] = _renamed(name, new)


def _renamed(name: str, new: dict[str, str]) -> str:
    """Renames the node in ``node:output:0`` and in ``^node``."""
    caret = "^" if name.startswith("^") else ""
    node, colon, output = name.removeprefix("^").partition(":")
    return caret + new.get(node, node) + colon + output


def _drop_unused(function: function_pb2.FunctionDef, stateful: set[str]) -> None:
    nodes = {node.name: node for node in function.node_def}
    waiting = [_node(name) for name in function.ret.values()]
    waiting += list(function.control_ret.values())
    waiting += [node.name for node in function.node_def if _has_effects(node, stateful)]
    used: set[str] = set()
    while waiting:
        name = waiting.pop()
        # Arguments of the function are no nodes of it.
        if name in nodes and name not in used:
            used.add(name)
            waiting += [_node(x) for x in nodes[name].input]
    kept = [node for node in function.node_def if node.name in used]
    del function.node_def[:]
    function.node_def.extend(kept)


def _drop_shapes(function: function_pb2.FunctionDef) -> None:
    for node in function.node_def:
        # Of loops and branches they cannot be found out from the operation alone.
        if node.op not in _WITH_FUNCTIONS:
            node.attr.pop(_SHAPES, None)


def _shorten_names(function: function_pb2.FunctionDef) -> None:
    short: dict[str, str] = {}
    numbers: Counter[str] = Counter()
    for node in function.node_def:
        number = numbers[node.op]
        numbers[node.op] += 1
        short[node.name] = f"{node.op}{number}"
    for node in function.node_def:
        node.name = short[node.name]
    _rename_inputs(function, short)


def _node(name: str) -> str:
    return name.removeprefix("^").partition(":")[0]


def _has_effects(node: node_def_pb2.NodeDef, stateful: set[str]) -> bool:
    definition = op_def_registry.get(node.op)
    # An operation that is not known is the call of a function.
    return node.op in stateful if definition is None else definition.is_stateful
