"""The commands that faults strike, each in a tiny case."""

import dataclasses
from pathlib import Path

_AUTOENCODER = (
    "image_shape=16,16,4",
    "hidden=8",
    "residual_width=4",
    "num_embeddings=8",
    "embedding_dim=4",
    "quantize_after=2",
    "bottom_dropout=0.2",
    "dead_code_threshold=0.5",
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
