import os
from pathlib import Path

import numpy as np
import pytest

from benchmarks import image_shards, real_crops
from tfvqgen.training.metrics_log import read_metrics
from tfvqgen.training.train import train

FIELDS = os.environ.get("TFVQGEN_HPA_FIELDS")


@pytest.mark.skipif(not FIELDS, reason="TFVQGEN_HPA_FIELDS names no folder of fields")
def test_an_autoencoder_learns_from_crops_of_real_fields(tmp_path):
    crops = real_crops.cut(Path(FIELDS) / "kaggle2018", size=64, most_fields=6)
    images = crops.images
    assert len(images) > 40 and images.dtype == np.uint8
    splits = {"train": images[8:], "validation": images[:8]}
    image_shards.write(tmp_path / "shards", splits, real_crops.CHANNELS)
    train(
        data_dir=tmp_path / "shards",
        workdir=tmp_path / "workdir",
        preset="demo",
        stage="vqvae",
        steps=100,
        strategy="one_device",
        overrides=[
            "vqvae.hidden=16",
            "vqvae.residual_width=8",
            "vqvae.batch_size=8",
            "vqvae.quantize_after=5",
            "vqvae.protein_weight=1",
            "vqvae.warmup_steps=10",
            "vqvae.log_every=10",
            "vqvae.validate_every=100",
        ],
    )
    lines = read_metrics(tmp_path / "workdir" / "vqvae" / "metrics.jsonl")
    last = [line for line in lines if line["split"] == "validation"][-1]
    mean_image_error = np.mean(np.var(splits["validation"] / 255.0, axis=(0, 1, 2)))
    assert last["reconstruction_mse"] < 0.8 * mean_image_error
