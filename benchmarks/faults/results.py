"""What a job has left, in a form in which two runs of it can be compared."""

import collections
import contextlib
import hashlib
import json
from pathlib import Path

from benchmarks.faults.jobs import Job

# What a checkpoint holds besides the state of training.
_NOT_STATE = ("_CHECKPOINTABLE_OBJECT_GRAPH", "save_counter")


def last_step(job: Job, folder: Path) -> int | None:
    """Returns the step of a job's last checkpoint; None if it writes none."""
    if job.checkpoints is None:
        return None
    found = (folder / job.checkpoints).glob("step-*.index")
    return max((int(path.stem.split("-")[1]) for path in found), default=0)


def leftovers(job: Job, folder: Path) -> list[str]:
    """Names the hidden files and folders that a job has left."""
    roots = {Path(path).parts[0] for path in job.makes}
    found = [path for root in roots for path in (folder / root).rglob(".*")]
    return sorted(str(path.relative_to(folder)) for path in found)


def results(job: Job, folder: Path) -> dict[str, str]:
    """Returns hashes of all that must not depend on interruptions.

    Bytes of files; of checkpoints and SavedModels, whose bytes are others each time
    they are written, the values of all variables, and of a SavedModel how often each
    kind of operation is in it; of figures all but the speed. TensorBoard's files have
    the time in them.
    """
    found = {}
    for made in job.makes:
        root = folder / made
        paths = [root] if root.is_file() else sorted(root.rglob("*"))
        models = [path.parent for path in paths if path.name == "saved_model.pb"]
        for path in paths:
            name = str(path.relative_to(folder))
            inside = Path(name).parts
            if not path.is_file() or any(part.startswith(".") for part in inside):
                continue
            if "checkpoints" in inside or "tensorboard" in inside:
                continue
            if any(path.is_relative_to(model) for model in models) and (
                path.parent.name == "variables" or path.suffix == ".pb"
            ):
                continue
            found[name] = _digest(path)
        for model in models:
            name = model.relative_to(folder)
            # They are numbered anew each time.
            values = sorted(_values(model / "variables/variables").values())
            found |= {f"{name}/variable {n}": x for n, x in enumerate(values)}
            found |= {f"{name}/{key}": x for key, x in _operations(model).items()}
    if job.checkpoints is not None:
        found |= _last_checkpoint(folder / job.checkpoints)
    return found


def _digest(path: Path) -> str:
    content = path.read_bytes()
    if path.name == "metrics.jsonl":
        # A damaged one counts as it is.
        with contextlib.suppress(ValueError):
            content = _without_speed(content)
    return hashlib.sha256(content).hexdigest()


def _without_speed(content: bytes) -> bytes:
    lines = [json.loads(line) for line in content.splitlines()]
    for line in lines:
        for name in [name for name in line if name.endswith("per_second")]:
            del line[name]
    return json.dumps(lines).encode()


def _last_checkpoint(folder: Path) -> dict[str, str]:
    from tfvqgen.training.checkpoints import saved_checkpoints

    saved = saved_checkpoints(folder)
    values = _values(saved[-1][1]) if saved else {}
    return {f"checkpoint/{name}": value for name, value in values.items()}


def _values(prefix: Path | str) -> dict[str, str]:
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(prefix))
    return {
        name: hashlib.sha256(reader.get_tensor(name).tobytes()).hexdigest()
        for name in reader.get_variable_to_shape_map()
        if not any(other in name for other in _NOT_STATE)
    }


def _operations(model: Path) -> dict[str, str]:
    from tensorflow.core.protobuf import saved_model_pb2

    content = (model / "saved_model.pb").read_bytes()
    read = saved_model_pb2.SavedModel.FromString(content)
    graph = read.meta_graphs[0].graph_def
    functions = (function.node_def for function in graph.library.function)
    kinds = collections.Counter(
        node.op for nodes in (graph.node, *functions) for node in nodes
    )
    return {f"operations/{kind}": str(count) for kind, count in kinds.items()}
