import argparse

import numpy as np
import pytest

from benchmarks import image_shards, quality
from benchmarks.quality_measures import (
    Measured,
    features,
    figures,
    held_out_crops,
    measure,
    ratios,
    table,
)
from tfvqgen.data import schema
from tfvqgen.errors import UserError
from tfvqgen.evaluation.extractors.random_network import RandomNetwork
from tfvqgen.training.train import train
from tfvqgen.training.trained_models import load_autoencoder
from tfvqgen.training.workdir import Workdir


def flags(**given):
    return argparse.Namespace(**{"a": None, "b": None, "configs": None, **given})


def made_up(seed, scale=1.0):
    rng = np.random.default_rng(seed)
    return Measured(
        squared_error=scale * rng.random((40, 2)),
        similarity=rng.random((40, 2)),
        band_power=rng.random((40, 2, 2, 2)),
        frechet={"FD-random": scale},
        further={"images_per_second": 10.0 * seed},
    )


def test_keys_are_read_with_their_section_and_values_with_commas():
    found = quality.read_configs(flags(a=[], b=["hidden=64", "vqvae.decay=0.9"]))
    assert found == {"a": [], "b": ["vqvae.hidden=64", "vqvae.decay=0.9"]}
    text = "sharp:image_shape=64,64,4,texture_noise_weight=0"
    found = quality.read_configs(flags(configs=["plain:", text]))
    sharp = ["vqvae.image_shape=64,64,4", "vqvae.texture_noise_weight=0"]
    assert found == {"plain": [], "sharp": sharp}


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"a": []},
        {"configs": ["plain:"]},
        {"configs": ["plain:", "plain:hidden=3"]},
        {"configs": ["plain", "b:"]},
        {"configs": ["a b:", "b:"]},
    ],
)
def test_less_than_two_configurations_are_refused(given):
    with pytest.raises(UserError, match="expected"):
        quality.read_configs(flags(**given))


def test_figures_are_of_means_over_seeds_within_their_intervals():
    seeds = [made_up(1), made_up(2)]
    found = figures(seeds)
    mse = np.mean([one.squared_error for one in seeds])
    assert found["mse"]["value"] == pytest.approx(mse, rel=1e-4)
    assert found["psnr"]["value"] == pytest.approx(-10 * np.log10(mse), rel=1e-4)
    for name in ("mse", "psnr", "ssim"):
        assert found[name]["low"] < found[name]["value"] < found[name]["high"]
    powers = np.mean([one.band_power for one in seeds], axis=0).sum(axis=0)
    kept = powers[1] / powers[0]
    for i, band in enumerate(("quarter_to_half_nyquist", "above_half_nyquist")):
        values = found[f"power_kept_{band}"]["value"]
        np.testing.assert_allclose(values, kept[i], rtol=1e-4)
    assert found["images_per_second"] == 15


def test_ratios_are_of_the_same_crops():
    found = ratios([made_up(1, scale=1.3)], [made_up(1)])
    assert found["mse_ratio"] == {"value": 1.3, "low": 1.3, "high": 1.3}
    assert found["FD-random_ratio"] == 1.3


def test_a_table_has_a_column_for_each_configuration():
    lines = table({"plain": figures([made_up(1)]), "b": figures([made_up(2)])})
    heading, *rows = lines.splitlines()
    assert heading.split() == ["plain", "b"]
    assert len({len(row) for row in (heading, *rows)}) == 1
    assert [row.split()[0] for row in rows][:2] == ["mse", "psnr"]


def test_what_is_measured_is_of_the_reconstructions(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 2), np.uint8)
    labels = np.eye(6, 3, dtype=bool)
    dataset = image_shards.write(
        tmp_path / "data",
        {"train": images[:4], "validation": images},
        ("red", "green"),
        num_shards=1,
        labels={"train": labels[:4], "validation": labels},
    )
    np.testing.assert_array_equal(dataset.split("validation").read_labels(), labels)
    small = ("hidden=8", "residual_width=4", "num_embeddings=8", "batch_size=2")
    train(
        data_dir=tmp_path / "data",
        workdir=tmp_path / "workdir",
        stage="vqvae",
        overrides=[
            "vqvae.image_shape=16,16,2",
            "vqvae.quantize_after=0",
            *(f"vqvae.{key}" for key in small),
        ],
        steps=2,
        strategy="one_device",
    )
    crops = held_out_crops(
        schema.open_dataset(tmp_path / "data").split("validation"), 5
    )
    np.testing.assert_array_equal(crops, images[:5])
    extractors = [RandomNetwork(2)]
    originals = features(extractors, crops)
    found = measure(tmp_path / "workdir", crops, extractors, originals)
    autoencoder, _ = load_autoencoder(Workdir(tmp_path / "workdir"))
    output = autoencoder.reconstruct(crops.astype(np.float32) / 255).numpy()
    errors = np.mean((output - crops / 255.0) ** 2, axis=(1, 2))
    np.testing.assert_allclose(found.squared_error, errors, rtol=1e-4)
    assert found.similarity.shape == (5, 2)
    assert found.band_power.shape == (5, 2, 2, 2)
    assert found.frechet["FD-random"] > 0
    assert found.further["top_usage"] <= 1
    assert found.further["images_per_second"] > 0
