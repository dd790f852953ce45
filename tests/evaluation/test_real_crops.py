import math

import numpy as np
import pytest
import tensorflow as tf

from tests.generators import CODES, LABELS, make_generator
from tests.support import make_dataset
from tfvqgen.data.schema import to_unit
from tfvqgen.errors import DataError
from tfvqgen.evaluation.real_crops import BATCH_SIZE, Examiner
from tfvqgen.models import LEVELS

# The last batch is not a whole one.
NUMBER = BATCH_SIZE + 3


class TrainingCodes:
    """Codes whose frequencies are known: code 0 four times, each other once."""

    def batches(self):
        codes = np.array([0, 0, 0, *range(CODES)], np.int32)
        yield dict.fromkeys(LEVELS, codes)


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    dataset = make_dataset(
        tmp_path_factory.mktemp("data"),
        {"test": NUMBER},
        shape=(16, 16, 3),
        labels=LABELS,
    )
    return dataset.split("test")


@pytest.fixture(scope="module")
def examiner():
    return Examiner(make_generator(), TrainingCodes())


@pytest.fixture(scope="module")
def batch(crops):
    """All crops at once."""
    records = tf.data.TFRecordDataset([str(path) for path in crops.paths])
    return next(iter(records.map(crops.parser()).batch(NUMBER)))


@pytest.fixture(scope="module")
def found(examiner, crops):
    return examiner.crop_figures(crops)


def test_errors_are_those_of_all_crops_at_once(found, batch):
    images = to_unit(batch["image"])
    levels = make_generator().autoencoder.reconstruct_levels(images)
    for errors, reconstruction in (
        (found.squared_error, levels.full),
        (found.top_only_error, levels.top_only),
        (found.bottom_only_error, levels.bottom_only),
    ):
        expected = tf.reduce_mean((images - reconstruction) ** 2, axis=[1, 2])
        np.testing.assert_allclose(errors, expected, rtol=1e-4)
    for level, codes in zip(LEVELS, levels.codes, strict=True):
        counts = np.bincount(np.ravel(codes), minlength=CODES)
        np.testing.assert_array_equal(found.code_counts[level], counts)


def test_means_of_the_originals_are_exact(found, batch):
    images = batch["image"].numpy() / 255
    np.testing.assert_allclose(found.intensity, images.mean(axis=(1, 2)), rtol=1e-6)
    np.testing.assert_allclose(found.mean_image, images.mean(axis=0), rtol=1e-6)
    powers = np.abs(np.fft.fft2(images, axes=(1, 2))) ** 2
    np.testing.assert_allclose(
        found.mean_power[0], powers.mean(axis=0), rtol=1e-3, atol=1e-3
    )


def test_likelihoods_are_the_generators_score(found, batch):
    scores = make_generator().score(batch["image"], batch["labels"])
    for level, bits in zip(LEVELS, scores, strict=True):
        nats = found.likelihoods.nats[level]
        np.testing.assert_allclose(nats / math.log(2), bits, rtol=1e-4)


def test_a_code_costs_by_its_share_in_training_with_each_counted_once_more(
    found, batch
):
    costs = -np.log(np.array([5, *[2] * (CODES - 1)]) / (5 + 2 * (CODES - 1)))
    codes = make_generator().encode(batch["image"])
    for level, values in zip(LEVELS, codes, strict=True):
        expected = costs[values.numpy()].mean(axis=(1, 2))
        np.testing.assert_allclose(found.likelihoods.unigram_nats[level], expected)


def test_the_likelihood_of_some_crops_is_theirs(examiner, crops, found):
    some = examiner.likelihoods(crops, [2, NUMBER - 1])
    for level in LEVELS:
        expected = found.likelihoods.nats[level][[2, NUMBER - 1]]
        np.testing.assert_allclose(some.nats[level], expected, rtol=1e-4)


def test_a_damaged_record_is_named(examiner, tmp_path):
    dataset = make_dataset(tmp_path, {"test": 4}, shape=(16, 16, 3), labels=LABELS)
    crops = dataset.split("test")
    data = bytearray(crops.paths[1].read_bytes())
    data[60] ^= 0xFF
    crops.paths[1].write_bytes(data)
    with pytest.raises(DataError, match=r"test-00001.*record"):
        examiner.crop_figures(crops)
