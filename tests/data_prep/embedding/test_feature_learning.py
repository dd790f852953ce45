import argparse
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from data_prep.commands import embed as command
from data_prep.embedding import feature_learning
from data_prep.embedding.crop_features import read_features
from data_prep.embedding.crop_images import CropImages
from data_prep.embedding.feature_learning import embed, feature_batches
from data_prep.embedding.network_settings import settle
from tests import support
from tests.data_prep.screened_crops import INSTALLED, quick_map
from tests.training.runs import assert_same_weights
from tfvqgen.data.crops import read_crops
from tfvqgen.data.images import read_image
from tfvqgen.errors import DataError, UserError
from tfvqgen.files import read_json
from tfvqgen.training.metrics_log import read_metrics
from tfvqgen.training.trained_models import fingerprint

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
NUM_CROPS = 13


@pytest.fixture(autouse=True)
def eager():
    with support.eagerly():
        yield


def make(folder, **options):
    return support.make_crops(
        folder / "crops",
        [["a"]] * NUM_CROPS,
        groups=[f"group{i // 4}" for i in range(NUM_CROPS)],
        shape=(32, 32, 4),
        **options,
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
    with support.eagerly():
        run(crops, steps=5)
    return crops


@pytest.fixture
def crops(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "crops")


def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(finished, tmp_path):
    crops = make(tmp_path)
    for steps in (2, 5):
        run(crops, steps=steps)
    assert_same_weights(finished, crops, "inpainting")
    assert read_features(finished).sha256 == read_features(crops).sha256


def test_features_are_those_of_the_network_in_the_order_of_the_table(finished):
    folder = read_crops(finished)
    model, step = feature_learning.load_network(folder, settle(folder))
    found = read_features(finished)
    assert found.crop_ids == tuple(crop.crop_id for crop in folder.rows)
    assert found.crops == tuple(crop.sha256 for crop in folder.rows)
    assert found.model == fingerprint(model)
    assert found.config["step"] == step == 5
    for number, values in enumerate(found.values):
        image = support.random_image((32, 32, 4), seed=number)[..., [1, 2, 0]]
        reduced = image.reshape(16, 2, 16, 2, 3).mean(axis=(1, 3)).round() / 255
        expected = model.features(reduced[None].astype(np.float32))[0]
        np.testing.assert_allclose(values, expected, atol=0.02)
    images = CropImages(folder, ("green", "blue", "red"), 16)
    batches = list(feature_batches(model, images, batch_size=4))
    assert [len(batch) for batch in batches] == [4, 4, 4, 1]
    np.testing.assert_allclose(np.concatenate(batches), found.values, atol=1e-5)


def test_the_validation_error_is_written_beside_that_of_the_mean_image(finished):
    lines = read_metrics(finished / "inpainting" / "metrics.jsonl")
    held_out = [line for line in lines if line["split"] == "validation"]
    assert [line["step"] for line in held_out] == [4, 5]
    for line in held_out:
        assert line["protein_mse"] > 0
        # Noise over [0, 1], of which 2 x 2 pixels are averaged: a variance of 1 / 48.
        assert line["mean_image_mse"] == pytest.approx(1 / 48, rel=0.3)
    assert (finished / "inpainting" / "pairs.png").is_file()


def test_finished_parts_are_kept_and_settings_need_not_be_repeated(finished, capsys):
    before = support.digest_of_folder(finished)
    run(finished, steps=5)
    embed(finished, strategy="one_device")
    assert support.digest_of_folder(finished) == before
    out = capsys.readouterr().out
    assert "inpainting: done already, at step 5" in out
    assert "features: done already" in out


def test_damaged_features_and_a_missing_extractor_are_made_again(finished, crops):
    array, extractor = crops / "features.npy", crops / "inpainting" / "extractor"
    array.write_bytes(array.read_bytes()[:-4])
    shutil.rmtree(extractor)
    (crops / "inpainting" / ".extractor.partial").mkdir()
    run(crops, steps=5)
    assert read_features(crops).sha256 == read_features(finished).sha256
    assert (extractor / "saved_model.pb").is_file()
    assert not list((crops / "inpainting").glob(".extractor*"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"overrides": ["width=0.1"]}, "width: 0.05 -> 0.1"),
        ({"seed": 4}, "seed: 0 -> 4"),
        ({"markers": ["blue"]}, "markers"),
        ({"protein": "yellow"}, "protein: green -> yellow"),
    ],
)
def test_a_trained_network_is_not_changed(finished, options, message):
    before = support.digest_of_folder(finished)
    with pytest.raises(UserError, match=f"different settings.*{message}"):
        run(finished, steps=5, **options)
    assert support.digest_of_folder(finished) == before


def test_a_finished_network_is_used_for_other_crops_but_not_trained_on_them(
    finished, crops, capsys
):
    table = crops / "crops.csv"
    *others, last = table.read_text().splitlines()
    text = "\n".join([*others[:-1], others[-1].replace("true", "false"), ""])
    table.write_text(text)
    assert last.startswith("crop12") and "false" in text
    with pytest.raises(UserError, match=r"different settings.*crops: "):
        run(crops, steps=7)
    run(crops, steps=5)
    assert "was trained on other crops" in capsys.readouterr().out
    one, other = read_features(finished), read_features(crops)
    assert other.model == one.model
    np.testing.assert_array_equal(other.values, one.values[:-1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"markers": []}, "no markers"),
        ({"protein": "pink"}, "wrong channels.*pink"),
        ({"overrides": ["wdth=1"]}, "unknown key.*did you mean 'width'"),
        ({"overrides": ["size=18"]}, "multiple of 4"),
        ({"seed": 2**32}, "seed: .*at most"),
    ],
)
def test_a_wrong_request_is_refused_and_leaves_no_files(tmp_path, options, message):
    crops = make(tmp_path)
    before = support.digest_of_folder(crops)
    with pytest.raises(UserError, match=message):
        run(crops, steps=1, **options)
    assert support.digest_of_folder(crops) == before
    assert not (crops / "inpainting").exists()


def test_a_damaged_crop_ends_training_with_its_name(tmp_path):
    crops = make(tmp_path)
    image = crops / "images" / "crop5.png"
    image.write_bytes(image.read_bytes()[:100])
    with pytest.raises(DataError, match=r"crop5\.png"):
        run(crops, steps=3)


def test_a_loss_that_is_not_finite_names_the_pairs(tmp_path):
    overrides = ["learning_rate=1e38", "clip_norm=0", "warmup_steps=0"]
    with pytest.raises(UserError, match=r"not finite at step \d+.*crop\d+ from crop"):
        run(make(tmp_path), steps=9, overrides=overrides)


def test_damaged_settings_are_reported(crops):
    path = crops / "inpainting" / "config.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(DataError, match=r"damaged file.*config\.json"):
        run(crops, steps=5)
    path.write_text("[]")
    with pytest.raises(DataError, match=r"wrong value in .*config\.json"):
        run(crops, steps=5)


@pytest.mark.skipif(not INSTALLED, reason="the extra screen is missing")
def test_the_command_takes_flags_and_keys(tmp_path, capsys):
    crops = make(tmp_path, dtype="uint16")
    flags = argparse.ArgumentParser()
    command.add_flags(flags)
    sets = [f"--set={key}" for key in TINY if "width" not in key]
    words = ["--crops", str(crops), "--steps=1", "--width=0.1", "--seed=7"]
    channels = ["--protein=yellow", "--markers=green, blue,red"]
    with quick_map():
        command.run(
            flags.parse_args([*words, *channels, "--strategy=one_device", *sets])
        )
    assert (crops / "umap.csv").exists()
    config = read_features(crops).config
    found = {name: config[name] for name in ("width", "seed", "protein", "markers")}
    markers = ["green", "blue", "red"]
    assert found == {"width": 0.1, "seed": 7, "protein": "yellow", "markers": markers}
    out = capsys.readouterr().out
    assert "none for 1 crops, which are in a group of fewer than 3" in out
    assert_extractor_has_the_features(crops)


def images_of(crops):
    folder = read_crops(crops)
    paths = [folder.image_path(crop) for crop in folder.rows]
    return np.stack([read_image(path, folder.channels) for path in paths])


def assert_extractor_has_the_features(crops):
    loaded = tf.saved_model.load(str(crops / "inpainting" / "extractor"))
    signature = loaded.signatures["serving_default"]
    found = signature(images=tf.constant(images_of(crops)))["features"]
    np.testing.assert_allclose(found, read_features(crops).values, atol=1e-5)
    for shape in ((1, 32, 31, 4), (1, 8, 8, 4)):
        images = tf.zeros(shape, read_crops(crops).dtype)
        with pytest.raises(tf.errors.InvalidArgumentError, match="at least 16 pixels"):
            signature(images=images)


WITHOUT_KERAS = """
import sys
sys.modules["keras"] = sys.modules["tfvqgen"] = sys.modules["data_prep"] = None
import numpy as np, tensorflow as tf
ask = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
found = ask(images=tf.constant(np.load(sys.argv[2])))["features"].numpy()
np.save(sys.argv[3], found)
"""


def test_the_extractor_needs_neither_keras_nor_this_project(finished, tmp_path):
    np.save(tmp_path / "images.npy", images_of(finished))
    extractor = finished / "inpainting" / "extractor"
    paths = [extractor, tmp_path / "images.npy", tmp_path / "found.npy"]
    subprocess.run([sys.executable, "-c", WITHOUT_KERAS, *paths], check=True)
    features = read_features(finished)
    found = np.load(tmp_path / "found.npy")
    np.testing.assert_allclose(found, features.values, atol=1e-5)
    description = read_json(extractor / "assets" / "about.json")
    assert description["model"] == features.model
    assert description["config"] == features.config
    assert description["channels"] == list(read_crops(finished).channels)


def test_a_network_with_other_weights_gets_a_new_extractor(crops, monkeypatch):
    before = support.digest_of_folder(crops / "inpainting" / "extractor")

    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space"):
        patched.setattr(tf.saved_model, "save", fail)
        run(crops, steps=6)
    assert support.digest_of_folder(crops / "inpainting" / "extractor") == before
    run(crops, steps=6)
    assert_extractor_has_the_features(crops)
