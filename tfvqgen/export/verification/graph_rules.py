"""What TensorFlow Serving asks of a graph, read off the file."""

from collections.abc import Iterator

from tensorflow.core.framework import graph_pb2, node_def_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow.python.framework import kernels, op_def_registry

# In Python's TensorFlow, but not in the stock server: what calls Python, and what is
# compiled by XLA or runs on TPUs.
_NOT_IN_SERVER = ("PyFunc", "EagerPyFunc", "Xla", "TPU", "Tpu", "_TPU", "_Xla")
_COMPILED = ("_XlaMustCompile", "_XlaCompile")


def operations(meta_graph: meta_graph_pb2.MetaGraphDef) -> dict[str, int]:
    """Returns how often each operation is in a graph and its functions."""
    counts: dict[str, int] = {}
    functions = {f.signature.name for f in meta_graph.graph_def.library.function}
    for node in _nodes(meta_graph.graph_def):
        if node.op not in functions:
            counts[node.op] = counts.get(node.op, 0) + 1
    return counts


def unknown_operations(meta_graph: meta_graph_pb2.MetaGraphDef) -> list[str]:
    """Returns the operations that the stock server does not have on a CPU."""
    return sorted(x for x in operations(meta_graph) if not _is_stock(x))


def compiled_parts(meta_graph: meta_graph_pb2.MetaGraphDef) -> list[str]:
    """Returns what is marked to be compiled by XLA, which the stock server refuses."""
    graph = meta_graph.graph_def
    marked = [node.name for node in _nodes(graph) if _is_marked(node.attr)]
    functions = graph.library.function
    return marked + [f.signature.name for f in functions if _is_marked(f.attr)]


def batching_faults(signatures: dict[str, meta_graph_pb2.SignatureDef]) -> list[str]:
    """Returns inputs and outputs whose first dimension is not that of rows."""
    faults = []
    for name, signature in signatures.items():
        for kind in ("inputs", "outputs"):
            for key, tensor in getattr(signature, kind).items():
                sizes = [dim.size for dim in tensor.tensor_shape.dim]
                if tensor.tensor_shape.unknown_rank or sizes[:1] != [-1]:
                    faults.append(f"{name}.{key} {sizes}")
    return faults


def rest_faults(signatures: dict[str, meta_graph_pb2.SignatureDef]) -> list[str]:
    """Returns signatures that cannot be asked over REST: those without an input."""
    return [f"{name} without input" for name, x in signatures.items() if not x.inputs]


def _nodes(graph: graph_pb2.GraphDef) -> Iterator[node_def_pb2.NodeDef]:
    yield from graph.node
    for function in graph.library.function:
        yield from function.node_def


def _is_stock(op: str) -> bool:
    # Names of other packages' operations have their package before a ">".
    if op.startswith(_NOT_IN_SERVER) or ">" in op or not op_def_registry.get(op):
        return False
    found = kernels.get_registered_kernels_for_op(op).kernel
    # Those of every device are DEFAULT.
    return any(kernel.device_type in ("CPU", "DEFAULT") for kernel in found)


def _is_marked(attributes) -> bool:
    return any(attributes[name].b for name in _COMPILED if name in attributes)
