import argparse
import dataclasses
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from data_prep.commands import embed as command
from data_prep.embedding.crop_features import read_features
from data_prep.embedding.crop_images import CropImages
from data_prep.embedding.extractor import feature_batches
from data_prep.embedding.feature_learning import embed
from data_prep.embedding.network_settings import NetworkSettings
from tests import support
from tests.data_prep.screened_crops import INSTALLED, quick_map
from tfvqgen.data.crops import read_crops
from tfvqgen.errors import DataError, UserError
from tfvqgen.files import read_sealed_json
from tfvqgen.models import PairedInpainting
from tfvqgen.training.checkpoints import restore_model, saved_checkpoints
from tfvqgen.training.metrics_log import read_metrics
from tfvqgen.training.trained_models import fingerprint
from tfvqgen.validation import read

TINY = (
    "width=0.05",
    "size=16",
    "batch_size=4",
    "warmup_steps=2",
    "decay_steps=20",
    "log_every=2",
    "validate_every=4",
    "checkpoint_every=3",
    "min_group=3",
    "validation_share=0.3",
)
NUM_CROPS = 21


def make(folder):
    return support.make_crops(
        folder / "crops",
        [["a"]] * NUM_CROPS,
        groups=[f"group{i // 4}" for i in range(NUM_CROPS)],
        shape=(32, 32, 4),
    )


def run(crops, *, steps, overrides=(), **options):
    embed(
        crops,
        overrides=[*TINY, *overrides, f"steps={steps}"],
        strategy="one_device",
        **options,
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    crops = make(tmp_path_factory.mktemp("finished"))
    run(crops, steps=9)
    return crops


def trained(crops):
    model = PairedInpainting(2, 0.05)
    model.build()
    return model, restore_model(model, crops / "inpainting" / "checkpoints")


def saved_values(crops):
    _, path = saved_checkpoints(crops / "inpainting" / "checkpoints")[-1]
    reader = tf.train.load_checkpoint(path)
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if name != "_CHECKPOINTABLE_OBJECT_GRAPH" and "save_counter" not in name
    }


def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(finished, tmp_path):
    crops = make(tmp_path)
    for steps in (2, 6, 9):
        run(crops, steps=steps)
    expected, found = saved_values(finished), saved_values(crops)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(value, found[name], err_msg=name)
    one, other = read_features(finished), read_features(crops)
    assert (one.sha256, one.model, one.config) == (
        other.sha256,
        other.model,
        other.config,
    )


def test_features_are_those_of_the_network_in_the_order_of_the_table(finished):
    model, step = trained(finished)
    found = read_features(finished)
    folder = read_crops(finished)
    assert found.crop_ids == tuple(crop.crop_id for crop in folder.rows)
    assert found.crops == tuple(crop.sha256 for crop in folder.rows)
    assert found.model == fingerprint(model)
    assert found.config["step"] == step == 9
    for number, values in enumerate(found.values):
        image = support.random_image((32, 32, 4), seed=number)[..., [1, 2, 0]]
        reduced = image.reshape(16, 2, 16, 2, 3).mean(axis=(1, 3)).round() / 255
        expected = model.features(reduced[None].astype(np.float32))[0]
        np.testing.assert_allclose(values, expected, atol=0.02)


@pytest.mark.parametrize("batch_size", [1, 4, NUM_CROPS, 64])
def test_features_do_not_depend_on_the_batch_size(finished, batch_size):
    model, _ = trained(finished)
    images = CropImages(read_crops(finished), ("green", "blue", "red"), 16)
    batches = list(feature_batches(model, images, batch_size=batch_size))
    assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
    expected = read_features(finished).values
    np.testing.assert_allclose(np.concatenate(batches), expected, atol=1e-5)


def test_the_held_out_error_is_written_beside_that_of_the_mean_image(finished):
    lines = read_metrics(finished / "inpainting" / "metrics.jsonl")
    held_out = [line for line in lines if line["split"] == "validation"]
    assert [line["step"] for line in held_out] == [4, 8, 9]
    for line in held_out:
        assert line["protein_mse"] > 0
        # Noise over [0, 1], of which 2 x 2 pixels are averaged: a variance of 1 / 48.
        assert line["mean_image_mse"] == pytest.approx(1 / 48, rel=0.3)
    assert (finished / "inpainting" / "pairs.png").is_file()


def test_what_is_done_is_left_as_it_is(finished, capsys):
    before = support.digest_of_folder(finished)
    run(finished, steps=9)
    assert support.digest_of_folder(finished) == before
    out = capsys.readouterr().out
    assert "inpainting: done already, at step 9" in out
    assert "features: done already" in out


def test_flags_that_are_not_given_keep_what_is_there(finished):
    before = support.digest_of_folder(finished)
    embed(finished, strategy="one_device")
    assert support.digest_of_folder(finished) == before


def test_damaged_features_are_computed_again(finished, tmp_path):
    crops = tmp_path / "crops"
    shutil.copytree(finished, crops)
    array = crops / "features.npy"
    array.write_bytes(array.read_bytes()[:-4])
    run(crops, steps=9)
    assert read_features(crops).sha256 == read_features(finished).sha256


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"overrides": ["width=0.1"]}, "width: 0.05 -> 0.1"),
        ({"overrides": ["min_group=2"]}, "min_group: 3 -> 2"),
        ({"seed": 4}, "seed: 0 -> 4"),
        ({"markers": ["blue"]}, "markers"),
        ({"protein": "yellow"}, "protein: green -> yellow"),
    ],
)
def test_a_trained_network_is_not_changed(finished, options, message):
    before = support.digest_of_folder(finished)
    with pytest.raises(UserError, match=f"was trained otherwise.*{message}"):
        run(finished, steps=9, **options)
    assert support.digest_of_folder(finished) == before


@pytest.fixture
def changed(finished, tmp_path):
    """A folder with a trained network whose last crop was rejected since."""
    crops = tmp_path / "crops"
    shutil.copytree(finished, crops)
    table = crops / "crops.csv"
    *others, last = table.read_text().splitlines()
    text = "\n".join([*others[:-1], others[-1].replace("true", "false"), ""])
    table.write_text(text)
    assert last.startswith("crop20") and "false" in text
    return crops


def test_a_network_does_not_go_on_with_other_crops(changed):
    with pytest.raises(UserError, match=r"was trained otherwise.*crops: "):
        run(changed, steps=12)


def test_a_network_that_is_done_serves_other_crops(finished, changed, capsys):
    run(changed, steps=9)
    assert "trained on other crops, and taken as it is" in capsys.readouterr().out
    one, other = read_features(finished), read_features(changed)
    assert other.model == one.model
    np.testing.assert_array_equal(other.values, one.values[:-1])


def test_the_endoplasmic_reticulum_can_be_a_marker(tmp_path):
    crops = make(tmp_path)
    run(crops, steps=1, markers=["blue", "red", "yellow"])
    assert read_features(crops).config["markers"] == ["blue", "red", "yellow"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"markers": ["blue", "green"]}, "wrong channels"),
        ({"markers": []}, "no markers"),
        ({"protein": "pink"}, "wrong channels.*pink"),
        ({"overrides": ["wdth=1"]}, "unknown key.*did you mean 'width'"),
        ({"overrides": ["size=18"]}, "multiple of 4"),
        ({"overrides": ["min_group=1"]}, "min_group: .* at least 2"),
        ({"overrides": ["min_group=9"]}, "too few groups"),
        ({"seed": -1}, "seed: .*at least 0"),
        ({"seed": 2**32}, "seed: .*at most"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing_behind(
    tmp_path, options, message
):
    crops = make(tmp_path)
    before = support.digest_of_folder(crops)
    with pytest.raises(UserError, match=message):
        run(crops, steps=1, **options)
    assert support.digest_of_folder(crops) == before
    assert not (crops / "inpainting").exists()


def test_settings_that_were_refused_are_not_kept(tmp_path):
    crops = make(tmp_path)
    run(crops, steps=1, seed=3)
    shutil.rmtree(crops / "inpainting" / "checkpoints")
    before = support.digest_of_folder(crops)
    with pytest.raises(UserError, match="wrong channels"):
        run(crops, steps=1, protein="pink")
    assert support.digest_of_folder(crops) == before


def test_a_damaged_crop_ends_training_with_its_name(tmp_path):
    crops = make(tmp_path)
    image = crops / "images" / "crop5.png"
    image.write_bytes(image.read_bytes()[:100])
    with pytest.raises(DataError, match=r"damaged PNG.*crop5\.png"):
        run(crops, steps=9)


def test_a_loss_that_is_not_finite_names_the_pairs(tmp_path):
    with pytest.raises(UserError, match=r"not finite at step \d+.*crop\d+ from crop"):
        run(
            make(tmp_path),
            steps=9,
            overrides=["learning_rate=1e38", "clip_norm=0", "warmup_steps=0"],
        )


def test_settings_come_back_from_json(finished):
    stored = read_sealed_json(finished / "inpainting" / "config.json")
    settings = read(NetworkSettings, stored, strict=True)
    assert settings.config.width == 0.05
    assert json.loads(json.dumps(dataclasses.asdict(settings))) == stored
    del stored["seed"]
    with pytest.raises(UserError, match="seed"):
        read(NetworkSettings, stored, strict=True)


@pytest.mark.skipif(not INSTALLED, reason="the extra screen is missing")
def test_the_command_takes_flags_and_keys(tmp_path, capsys):
    crops = make(tmp_path)
    flags = argparse.ArgumentParser()
    command.add_flags(flags)
    sets = [f"--set={key}" for key in TINY if "width" not in key]
    words = ["--crops", str(crops), "--steps=1", "--width=0.1", "--seed=7"]
    channels = ["--protein=yellow", "--markers=green, blue", "--strategy=one_device"]
    with quick_map():
        command.run(flags.parse_args([*words, *channels, *sets]))
    assert (crops / "umap.csv").exists()
    config = read_features(crops).config
    found = {name: config[name] for name in ("width", "seed", "protein", "markers")}
    markers = ["green", "blue"]
    assert found == {"width": 0.1, "seed": 7, "protein": "yellow", "markers": markers}
    assert "no pairs of 1 crops: in a group of fewer than 3" in capsys.readouterr().out
