"""The commands that faults strike, each in a tiny case, and what they leave."""

import collections
import contextlib
import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

from benchmarks.faults import process
from benchmarks.faults.process import Changes, Ended

_AUTOENCODER = (
    "image_shape=16,16,4",
    "hidden=8",
    "residual_width=4",
    "num_embeddings=8",
    "embedding_dim=4",
    "quantize_after=2",
    "bottom_dropout=0.2",
    "revive_below=0.5",
)
_PRIOR = (
    "width=8",
    "blocks=1",
    "layers=1",
    "residual_width=4",
    "heads=2",
    "key_dim=2",
    "value_dim=2",
    "condition_layers=1",
)
_TRAINED = (
    "steps=12",
    "batch_size=4",
    "warmup_steps=2",
    "log_every=2",
    "validate_every=4",
    "checkpoint_every=3",
)
_SET = tuple(
    f"--set={stage}.{key}"
    for stage, keys in (("vqvae", _AUTOENCODER), ("top", _PRIOR), ("bottom", _PRIOR))
    for key in (*keys, *_TRAINED)
)
_TRAIN = ("train.py", "--data_dir=shards", "--workdir=workdir", "--preset=demo")
_PAIRS = (
    *_TRAINED,
    "width=0.05",
    "size=16",
    "min_group=3",
    "validation_share=0.3",
)
# What a checkpoint holds besides the state of training.
_NOT_STATE = ("_CHECKPOINTABLE_OBJECT_GRAPH", "save_counter")


@dataclasses.dataclass(frozen=True)
class Job:
    """A command in its tiny case.

    Attributes:
        name: What it is called here.
        words: The command, to be run where the case is.
        needs: Paths that it reads or goes on from, left by jobs before it.
        makes: Paths that it leaves.
    """

    name: str
    words: tuple[str, ...]
    needs: tuple[str, ...]
    makes: tuple[str, ...]

    @property
    def checkpoints(self) -> Path | None:
        """Where its checkpoints are, if it has any."""
        folder = {"embed": "pairs/inpainting"}.get(self.name, f"workdir/{self.name}")
        trained = ("vqvae", "top", "bottom", "embed")
        return Path(folder, "checkpoints") if self.name in trained else None


def _stage(name: str, *needs: str) -> Job:
    about = ("workdir/config.json", "workdir/dataset.json")
    paths = tuple(f"workdir/{need}" for need in needs)
    makes = (f"workdir/{name}", *(() if needs else about))
    needs = ("shards", *(about if paths else ()), *paths)
    return Job(name, (*_TRAIN, f"--stage={name}", *_SET), needs, makes)


def _crop(name: str, output: str) -> Job:
    words = ("data_prep", "crop", "--fields=fields", f"--output={output}")
    flags = ("--crop_size=32", "--scale=1", "--overlays=1", "--workers=2")
    return Job(name, (*words, *flags), ("fields",), (output,))


JOBS = {
    job.name: job
    for job in (
        Job(
            "synthesize",
            ("data_prep", "synthesize", "--output=crops", "--num_cells=36")
            + ("--size=16", "--workers=2"),
            (),
            ("crops",),
        ),
        Job(
            "fields",
            ("data_prep", "synthesize", "--output=fields", "--fields=4")
            + ("--field_size=128", "--workers=2"),
            (),
            ("fields",),
        ),
        _crop("crop", "cropped"),
        _crop("pairs", "pairs"),
        Job(
            "shard",
            ("data_prep", "shard", "--crops=crops", "--output=shards")
            + ("--num_shards=2", "--splits=train=0.5,validation=0.25,test=0.25"),
            ("crops",),
            ("shards",),
        ),
        Job(
            "embed",
            ("data_prep", "embed", "--crops=pairs")
            + tuple(f"--set={key}" for key in _PAIRS),
            ("pairs",),
            ("pairs/inpainting", "pairs/features.npy", "pairs/features.json")
            + ("pairs/umap.csv", "pairs/umap.json"),
        ),
        _stage("vqvae"),
        _stage("codes", "vqvae"),
        _stage("top", "vqvae", "codes"),
        _stage("bottom", "vqvae", "codes"),
        Job(
            "export",
            ("export.py", "--workdir=workdir", "--export_dir=export"),
            ("workdir",),
            ("export",),
        ),
        Job(
            "sample",
            ("tfvqgen", "sample", "--model=workdir", "--output=cells")
            + ("--num_per_label=1", "--batch_size=16"),
            ("workdir",),
            ("cells",),
        ),
    )
}

# The others only make what these need.
STRUCK = tuple(name for name in JOBS if name not in ("fields", "pairs"))


class World:
    """The uninterrupted results of jobs, made once and kept in a folder.

    Args:
        folder: Where; what is there is taken as it is.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def make(self, name: str) -> None:
        """Runs a job, and those before it, unless that was done."""
        if self._about(name).exists():
            return
        job = JOBS[name]
        for need in job.needs:
            for other in JOBS.values():
                made = (*other.makes, *(Path(path).parts[0] for path in other.makes))
                if need in made and other.name != "embed":
                    self.make(other.name)
        changes = Changes()
        whole = self.folder / "whole"
        whole.mkdir(exist_ok=True)
        ended = process.run(job.words, whole, lambda: changes.strike(whole))
        if ended.status:
            raise RuntimeError(f"{name} failed by itself: {ended.output[-3000:]}")
        about = {"seconds": ended.seconds, "changes": changes.count}
        self._about(name).write_text(json.dumps(about))

    def seconds(self, name: str) -> float:
        """How long a job takes."""
        return json.loads(self._about(name).read_text())["seconds"]

    def changes(self, name: str) -> int:
        """How many changes of files a job makes."""
        return json.loads(self._about(name).read_text())["changes"]

    def begin(self, name: str, folder: Path, *, done: bool = False) -> Job:
        """Lays out in `folder` what a job needs, and, if `done`, what it leaves."""
        self.make(name)
        job = JOBS[name]
        folder.mkdir(parents=True, exist_ok=True)
        for path in (*job.needs, *(job.makes if done else ())):
            _copy(self.folder / "whole" / path, folder / path)
        if not done:
            for path in job.makes:
                _remove(folder / path)
        return job

    def differences(self, name: str, folder: Path) -> list[str]:
        """Names what in `folder` is not as the uninterrupted job has left it."""
        expected = process.in_child(results, JOBS[name], self.folder / "whole")
        found = process.in_child(results, JOBS[name], folder)
        names = sorted(expected.keys() | found.keys())
        return [path for path in names if expected.get(path) != found.get(path)]

    def _about(self, name: str) -> Path:
        return self.folder / f"{name}.json"


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


def describe(ended: Ended) -> str:
    """Says in a word how a command ended."""
    if ended.has_traceback:
        return "traceback"
    words = {0: "finished", 2: "refused", 130: "left", 143: "left"}
    return "killed" if ended.status < 0 else words.get(ended.status, "failed")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copy2(source, target)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
