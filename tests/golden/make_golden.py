"""Writes golden files: what version 0.1.0 of tfvqgen wrote, and what it answered.

``python make_golden.py data``, with 0.1.0 and the extras prep and screen, from the root
of its source tree, made the folder that test_golden.py reads. Later versions read these
files and do not write them again: the script shows how they were made, with the names
of commands, flags and keys of 0.1.0. Every key that may be renamed has a value of its
own, so that a key that is lost on reading is noticed. The folder has

  labels.txt       the vocabulary
  crops/           synthetic crops: crops.csv, crops.json, images/
  written.tar.xz   shards/, workdir/, export/, samples/, and screened/, which is what
                   ``embed`` and ``screen`` leave beside crops.csv
  expected.npz     arrays: requests and answers
  expected.json    the rest: texts, metrics of resumed training, sums of weights
"""

import csv
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from importlib import metadata
from pathlib import Path

import numpy as np

VERSION = "0.1.0"
LABELS = ("Golgi apparatus", "Mitochondria", "Nucleoli")
SHARD_FLAGS = ("--num_shards=1", "--splits=train=0.6,validation=0.2,test=0.2")

VQVAE = """
image_shape=32,32,4 protein_weight=3 laplacian_weight=0.1 frequency_weight=0.05
grain_weight=0.9 adversarial_weight=0.2 adversarial_after=8 adversarial_ramp=16
critic_width=4 critic_learning_rate=0.001 hidden=8 residual_layers=1 residual_width=4
num_embeddings=16 embedding_dim=8 codebook_rule=ema commitment_cost=0.3 decay=0.8
epsilon=2e-5 revive_below=0.2 quantize_after=4 bottom_dropout=0.3 steps=48 batch_size=8
learning_rate=0.004 warmup_steps=4 decay_steps=96 final_learning_rate=0.1 beta_1=0.8
clip_norm=2.0 cache=True label_balance=0.5 log_every=8 validate_every=24
validation_examples=8 checkpoint_every=24 keep_checkpoints=1
"""
PRIOR = """
width=12 layers=1 residual_width=6 kernel=3 heads=2 key_dim=4 value_dim=3
output_layers=1 condition_layers=1 dropout=0.2 label_dropout=0.15 polyak=0.9 patience=9
steps=32 batch_size=8 learning_rate=0.004 warmup_steps=4 decay_steps=64
final_learning_rate=0.1 beta_1=0.8 clip_norm=2.0 label_balance=0.5 log_every=8
validate_every=16 validation_examples=8 checkpoint_every=16 keep_checkpoints=1
"""
SECTIONS = {
    "vqvae": VQVAE,
    "codes": "symmetries=8",
    "top": f"{PRIOR} blocks=2",
    "bottom": f"{PRIOR} blocks=1 accumulation=2",
}
# Stage -> the step to which a copy is trained on. The autoencoder is last, since priors
# refuse codes of another one.
RESUMED = {"top": 40, "bottom": 40, "vqvae": 56}
_NO_METRICS = ("step", "split", "images_per_second", "codes_per_second")

ENCODED = [f"synthetic-1-0000{well}-00" for well in (0, 3, 5, 8)]
# Labels, seed, temperature, top_p, guidance; the last two are those of samples/.
SAMPLED = (5, 0.9, 0.95, 0.5)
ASKED = (
    ((1, 0, 0), 0, 1.0, 1.0, 0.0),
    ((0, 1, 0), 1, 0.8, 1.0, 0.0),
    ((0, 0, 1), 2, 1.0, 0.9, 0.0),
    ((1, 1, 0), 3, 1.0, 1.0, 0.5),
    ((0, 0, 0), 2**40 + 7, 1.2, 0.8, 1.0),
    ((0, 1, 0), 5, 0.7, 0.85, 1.5),
    ((1, 0, 0), *SAMPLED),
    ((0, 1, 1), *SAMPLED),
)


def main() -> None:
    """Makes the folder that the command line names."""
    if metadata.version("tfvqgen") != VERSION:
        sys.exit(f"expected tfvqgen {VERSION}. Received: {metadata.version('tfvqgen')}")
    output = Path(sys.argv[1]).resolve()
    output.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        write_everything(work)
        expected, arrays = answers(work)
        expected["resumed"] = resume(work)
        shutil.copy(work / "labels.txt", output)
        shutil.copytree(work / "crops", output / "crops", ignore=_only_for_people)
        pack(work, output / "written.tar.xz")
    np.savez_compressed(output / "expected.npz", **arrays)
    text = json.dumps(expected, indent=1, ensure_ascii=False) + "\n"
    (output / "expected.json").write_text(text, encoding="utf-8")


def run(*words: object) -> None:
    """Runs a command of the project as its user would."""
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([sys.executable, *map(str, words)], check=True, env=quiet)


def write_everything(work: Path) -> None:
    """Calls every command that writes something."""
    vocabulary, crops, workdir = work / "labels.txt", work / "crops", work / "workdir"
    shards, screened = work / "shards", work / "screened"
    vocabulary.write_text("".join(f"{label}\n" for label in LABELS))
    flags = ("--num_cells=40", "--size=32", "--seed=1", "--workers=1", "--vocabulary")
    run("-m", "data_prep", "synthesize", "--output", crops, *flags, vocabulary)
    flags = ("--vocabulary", vocabulary, *SHARD_FLAGS)
    run("-m", "data_prep", "shard", "--crops", crops, "--output", shards, *flags)
    settings = [
        f"--set={section}.{override}"
        for section, overrides in SECTIONS.items()
        for override in overrides.split()
    ]
    flags = ("--preset=demo", "--seed=3", *settings)
    run("train.py", f"--data_dir={shards}", f"--workdir={workdir}", *flags)
    run("export.py", f"--workdir={workdir}", f"--export_dir={work / 'export'}")
    names = ("seed", "temperature", "top_p", "guidance")
    flags = [f"--{name}={value}" for name, value in zip(names, SAMPLED, strict=True)]
    flags += ["--num_per_label=1", "--labels", LABELS[0], "|".join(LABELS[1:])]
    flags += ["--output", work / "samples"]
    run("-m", "tfvqgen", "sample", "--model", workdir, *flags)
    shutil.copytree(crops, screened)
    flags = ("--steps=2", "--seed=2", "--width=0.02", "--min_group=4")
    flags += ("--set=size=32", "--set=batch_size=4")
    run("-m", "data_prep", "embed", "--crops", screened, *flags)
    run("-m", "data_prep", "screen", "--crops", screened, "--clusters=3")
    # The first cluster is dropped, and the others are kept.
    table = screened / "review" / "clusters.csv"
    with open(table, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["decision"] = "drop" if row["cluster"] == "0" else "keep"
    with open(table, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    run("-m", "data_prep", "screen", "--crops", screened, "--apply", table)


def answers(work: Path) -> tuple[dict, dict]:
    """Returns what data, workdir and export answer; the arrays are the second."""
    from tfvqgen.serving.open_source import open_source

    from tfvqgen.data import crops, images, schema
    from tfvqgen.models import Codes

    dataset = schema.open_dataset(work / "shards")
    splits = {}
    for name in dataset.info.splits:
        split = dataset.split(name)
        ids = split.crop_ids(range(split.num_examples))
        labels = split.read_labels().astype(int).tolist()
        splits[name] = {"crop_ids": ids, "labels": labels}
    folder = crops.read_crops(work / "crops")
    rows = [row for row in folder.rows if row.crop_id in ENCODED]
    paths = [folder.image_path(row) for row in rows]
    image = np.stack([images.read_image(path, folder.channels) for path in paths])
    image_labels = np.float32([[name in row.labels for name in LABELS] for row in rows])

    labels, seeds, *how = zip(*ASKED, strict=True)
    labels, seeds, how = np.float32(labels), np.int64(seeds), np.float32(how)
    generator = open_source(work / "workdir")
    cells = generator.generate(labels, seeds, *how)
    codes = generator.encode(image)
    bits = generator.score(image, image_labels)
    top = generator.top.logits(codes.top, image_labels)
    bottom = generator.bottom.logits(codes.bottom, image_labels, condition=codes.top)

    # The answers of `generate`, by class id, to the rows that have one label or none.
    saved = open_source(work / "export")
    single = labels.sum(axis=1) < 2
    class_id = np.where(labels.any(1), labels.argmax(1), -1)[single].astype(np.int32)
    names = ("seed", "temperature", "top_p", "guidance")
    asked = {n: x[single] for n, x in zip(names, [seeds, *how], strict=True)}
    made = saved.ask("generate", class_id=class_id, **asked)
    arrays = {
        "labels": labels,
        "seeds": seeds,
        **dict(zip(names[1:], how, strict=True)),
        "generated_top": cells.top_codes,
        "generated_bottom": cells.bottom_codes,
        "generated_image": cells.image,
        "image": image,
        "image_labels": image_labels,
        "image_top": codes.top,
        "image_bottom": codes.bottom,
        "reconstruction": generator.decode(Codes(*codes)),
        "top_bits": bits[0],
        "bottom_bits": bits[1],
        "top_logits": top,
        "bottom_logits": bottom,
        "exported_class_id": class_id,
        "exported_rows": np.flatnonzero(single),
        "exported_top": made["top_codes"],
        "exported_bottom": made["bottom_codes"],
    }
    expected = {
        "version": VERSION,
        "libraries": {x: metadata.version(x) for x in ("tensorflow", "keras", "numpy")},
        "splits": splits,
        "encoded_crops": [row.crop_id for row in rows],
        "about": saved.about.to_json(),
        "model": saved.about.id,
    }
    return expected, {name: np.asarray(array) for name, array in arrays.items()}


def resume(work: Path) -> dict:
    """Trains a copy of the workdir on; returns metrics and sums of weights by stage."""
    from tfvqgen.training import trained_models
    from tfvqgen.training.metrics_log import read_metrics
    from tfvqgen.training.workdir import Workdir

    workdir = Workdir(work / "resumed")
    shutil.copytree(work / "workdir", workdir.path)
    resumed = {}
    for stage, steps in RESUMED.items():
        flags = (f"--workdir={workdir.path}", f"--stage={stage}", f"--steps={steps}")
        run("train.py", f"--data_dir={work / 'shards'}", *flags)
        model, step = trained_models.load_autoencoder(workdir)
        weights = model.variables
        if stage != "vqvae":
            # The averages that a prior samples with.
            model_id = trained_models.fingerprint(model)
            model, step = trained_models.load_prior(workdir, stage, model_id)
            weights = model.trainable_variables
        resumed[stage] = {"step": step}
        for line in read_metrics(workdir.stage(stage) / "metrics.jsonl"):
            if line["step"] == steps:
                metrics = {k: v for k, v in line.items() if k not in _NO_METRICS}
                resumed[stage].setdefault(line["split"], metrics)
        resumed[stage]["weights"] = []
        for weight in weights:
            values = weight.numpy().astype(np.float64)
            sums = {"sum": values.sum(), "norm": np.linalg.norm(values)}
            named = {"path": weight.path, "shape": list(weight.shape), **sums}
            resumed[stage]["weights"].append(named)
    return resumed


def pack(work: Path, archive: Path) -> None:
    """Packs what was written, with neither times nor owners."""

    def anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        folder, _, name = entry.name.rpartition("/")
        # The crops of screened/ are those of crops/.
        repeated = folder == "screened" and (work / "crops" / name).exists()
        if repeated or _only_for_people(folder, [name]):
            return None
        plain = tarfile.TarInfo(entry.name)
        plain.type, plain.size = entry.type, entry.size
        plain.mode = 0o755 if entry.isdir() else 0o644
        return plain

    with tarfile.open(archive, "w:xz", preset=9) as file:
        for name in ("shards", "workdir", "export", "samples", "screened"):
            file.add(work / name, name, filter=anonymous)


def _only_for_people(folder: str, names: list[str]) -> set[str]:
    """Returns the images for people, TensorBoard's files, pages and hidden files."""
    known = {"contact_sheet.png", "pairs.png", "reconstructions.png", "samples.png"}
    known |= {"tensorboard", "composites", "sprites"}
    page = {x for x in names if x.endswith((".html", ".js", ".css", ".jpg"))}
    return (known & set(names)) | page | {x for x in names if x.startswith(".")}


if __name__ == "__main__":
    main()
