import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from data_prep.__main__ import main as data_prep
from tfvqgen.data import schema
from tfvqgen.training.metrics_log import read_metrics
from tfvqgen.training.train import train

FIELDS = os.environ.get("TFVQGEN_HPA_FIELDS")


def run(monkeypatch, *words):
    monkeypatch.setattr("sys.argv", ["data_prep", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        data_prep()
    assert not ended.value.code


@pytest.mark.skipif(not FIELDS, reason="TFVQGEN_HPA_FIELDS names no folder of fields")
def test_an_autoencoder_learns_from_crops_of_real_fields(tmp_path, monkeypatch):
    fields = tmp_path / "fields"
    (fields / "train").mkdir(parents=True)
    source = Path(FIELDS) / "kaggle2018"
    header, *rows = (source / "train.csv").read_text().splitlines()
    (fields / "train.csv").write_text("\n".join([header, *rows[:4]]))
    for row in rows[:4]:
        for path in (source / "train").glob(f"{row.split(',')[0]}_*.png"):
            shutil.copy(path, fields / "train")
    crops, shards = tmp_path / "crops", tmp_path / "shards"
    flags = ("--crop_size", 64, "--overlays", 0, "--workers", 1)
    run(monkeypatch, "crop", "--fields", fields, "--output", crops, *flags)
    splits = "train=0.7,validation=0.3"
    words = ("--crops", crops, "--output", shards, "--splits", splits)
    run(monkeypatch, "shard", *words)
    train(
        data_dir=shards,
        workdir=tmp_path / "workdir",
        preset="demo",
        stage="vqvae",
        steps=60,
        strategy="one_device",
        overrides=[
            "vqvae.hidden=16",
            "vqvae.residual_width=8",
            "vqvae.batch_size=8",
            "vqvae.quantize_after=5",
            "vqvae.protein_weight=1",
            "vqvae.warmup_steps=10",
            "vqvae.log_every=10",
            "vqvae.validate_every=60",
        ],
    )
    lines = read_metrics(tmp_path / "workdir" / "vqvae" / "metrics.jsonl")
    last = [line for line in lines if line["split"] == "validation"][-1]
    split = schema.open_dataset(shards).split("validation")
    images = np.stack(schema.read_images(split, range(split.num_examples)))
    mean_image_error = np.mean(np.var(images / 255.0, axis=(0, 1, 2)))
    assert last["reconstruction_mse"] < 0.8 * mean_image_error
