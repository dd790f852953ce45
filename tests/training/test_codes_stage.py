import shutil

import numpy as np
import pytest

from tests import support
from tests.training.runs import flip_bit, metrics_of, run
from tfvqgen.data import codes
from tfvqgen.errors import DataError, UserError
from tfvqgen.training.trained_models import fingerprint, load_autoencoder
from tfvqgen.training.workdir import Workdir

LEVELS = ("top", "bottom")


def test_codes_are_those_of_the_autoencoder_in_the_order_of_the_images(finished):
    info = codes.read_codes_info(finished / "codes")
    autoencoder, _ = load_autoencoder(Workdir(finished))
    split = codes.CodeSplit(finished / "codes", "train", info)
    (found,) = split.batches(100)
    assert split.crop_ids(range(10)) == [f"train{i}" for i in range(10)]
    images = [support.random_image((16, 16, 3), seed=i) / 255.0 for i in range(10)]
    expected = autoencoder.encode(np.array(images, np.float32))
    np.testing.assert_array_equal(found["top"], expected.top)
    np.testing.assert_array_equal(found["bottom"], expected.bottom)
    np.testing.assert_array_equal(found["labels"][3], [1, 1, 0])


def test_training_images_are_encoded_in_all_symmetries(tiny_shards, finished, workdir):
    for level in LEVELS:
        shutil.rmtree(workdir / level)
    overrides = ["codes.symmetries=8"]
    with pytest.raises(UserError, match=r"symmetries=8.*--stage=codes.*symmetries=1"):
        run(tiny_shards, workdir, steps=9, stage="top", overrides=overrides)
    run(tiny_shards, workdir, steps=9, stage="codes", overrides=overrides)
    info = codes.read_codes_info(workdir / "codes")
    train_split = codes.CodeSplit(workdir / "codes", "train", info)
    assert train_split.num_examples == 80
    assert codes.CodeSplit(workdir / "codes", "validation", info).num_examples == 6
    autoencoder, _ = load_autoencoder(Workdir(finished))
    image = support.random_image((16, 16, 3), seed=0) / np.float32(255)
    turned = [np.rot90(image, k) for k in range(4)]
    turned += [np.fliplr(each) for each in turned]
    expected = autoencoder.encode(np.array(turned, np.float32)).top.numpy()
    (batch,) = train_split.batches(100)
    ids = train_split.crop_ids(range(80))
    found = batch["top"][[i for i in range(80) if ids[i] == "train0"]]
    assert sorted(map(str, found)) == sorted(map(str, expected))


def test_stale_codes_are_refused_and_priors_do_not_continue_with_others(
    tiny_shards, workdir
):
    run(tiny_shards, workdir, steps=10)
    info = codes.read_codes_info(workdir / "codes")
    current = {
        "dataset_fingerprint": info.dataset_fingerprint,
        "autoencoder_fingerprint": fingerprint(load_autoencoder(Workdir(workdir))[0]),
    }
    with pytest.raises(DataError, match=r"stale.*autoencoder"):
        codes.require_current(info, **current)
    with pytest.raises(DataError, match="codes are stale"):
        run(tiny_shards, workdir, steps=12, stage="top")
    run(tiny_shards, workdir, steps=10, stage="codes")
    codes.require_current(codes.read_codes_info(workdir / "codes"), **current)
    with pytest.raises(UserError, match="was trained on other codes"):
        run(tiny_shards, workdir, steps=12, stage="top")


def test_an_interrupted_run_keeps_the_code_shards_that_are_finished(
    tiny_shards, finished, workdir, monkeypatch
):
    shutil.rmtree(workdir / "codes")
    real, written = codes.serialize_codes, []

    def interrupted(*arguments):
        written.append(arguments[-1])
        if len(written) == 5:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(codes, "serialize_codes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(tiny_shards, workdir, steps=9, stage="codes")
    assert not (workdir / "codes").exists()
    run(tiny_shards, workdir, steps=9, stage="codes")
    assert written.count(written[0]) == 1
    expected = support.digest_of_folder(finished / "codes")
    assert support.digest_of_folder(workdir / "codes") == expected


@pytest.mark.parametrize("name", ["codes.json", "train-00001-of-00003.tfrecord"])
def test_damaged_codes_are_named_and_written_again(
    tiny_shards, finished, workdir, capsys, name
):
    path = workdir / "codes" / name
    if name == "codes.json":
        path.write_text("{")
    else:
        flip_bit(path)
    with pytest.raises(DataError, match=name.replace(".", r"\.")):
        run(tiny_shards, workdir, steps=10, stage="top")
    run(tiny_shards, workdir, steps=9, stage="codes")
    assert "codes are written again" in capsys.readouterr().err
    expected = support.digest_of_folder(finished / "codes")
    assert support.digest_of_folder(workdir / "codes") == expected


def test_codes_need_a_trained_autoencoder(tiny_shards, tmp_path):
    with pytest.raises(UserError, match="no checkpoint"):
        run(tiny_shards, tmp_path, steps=9, stage="codes")


def test_unigram_bits_are_the_cross_entropy_under_the_training_codes(finished):
    info = codes.read_codes_info(finished / "codes")
    for level in LEVELS:
        counts = {}
        for name in ("train", "validation"):
            split = codes.CodeSplit(finished / "codes", name, info)
            every = np.concatenate([batch[level].ravel() for batch in split.batches()])
            counts[name] = np.bincount(every, minlength=8).astype(float)
        shares = (counts["train"] + 1) / (counts["train"] + 1).sum()
        held_out = counts["validation"] / counts["validation"].sum()
        last = metrics_of(finished, level)[-1]
        assert last["split"] == "validation"
        expected = -np.sum(held_out * np.log2(shares))
        assert last["unigram_bits_per_code"] == pytest.approx(expected, rel=1e-5)
        assert last["bits_per_code"] == pytest.approx(last["nats_per_code"] / np.log(2))
        assert (finished / level / "samples.png").is_file()


def test_two_replicas_write_the_codes_of_one(tiny_shards, workdir, mirrored):
    before = support.digest_of_folder(workdir / "codes")
    shutil.rmtree(workdir / "codes")
    run(tiny_shards, workdir, steps=9, stage="codes", strategy="mirrored")
    assert support.digest_of_folder(workdir / "codes") == before
