import math

import numpy as np
import pytest
import tensorflow as tf

from tests.generators import CODES, LABELS
from tests.support import make_dataset
from tfvqgen.data.schema import to_unit
from tfvqgen.evaluation.crop_metrics import BATCH_SIZE, CropEvaluator
from tfvqgen.models import LEVELS

# The last batch is smaller than the first one.
NUMBER = BATCH_SIZE + 3


class TrainingCodes:
    """Codes whose frequencies are known: code 0 four times, each other once."""

    def batches(self):
        codes = np.array([0, 0, 0, *range(CODES)], np.int32)
        yield dict.fromkeys(LEVELS, codes)


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    sizes = {"shape": (16, 16, 3), "labels": LABELS}
    return make_dataset(folder, {"test": NUMBER}, **sizes).split("test")


@pytest.fixture(scope="module")
def evaluator(tiny_generator):
    return CropEvaluator(tiny_generator, TrainingCodes())


@pytest.fixture(scope="module")
def batch(crops):
    """Returns all crops at once."""
    records = tf.data.TFRecordDataset([str(path) for path in crops.paths])
    return next(iter(records.map(crops.parser()).batch(NUMBER)))


@pytest.fixture(scope="module")
def found(evaluator, crops):
    return evaluator.evaluate(crops)


def test_errors_and_counts_are_those_of_all_crops_at_once(found, batch, tiny_generator):
    images = to_unit(batch["image"])
    levels = tiny_generator.autoencoder.reconstruct_levels(images)
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
    mean_image = batch["image"].numpy().mean(axis=0) / 255
    np.testing.assert_allclose(found.mean_image, mean_image, rtol=1e-6)


def test_likelihoods_are_the_score_of_the_generator(
    found, batch, evaluator, crops, tiny_generator
):
    scores = tiny_generator.score(batch["image"], batch["labels"])
    some = evaluator.likelihoods(crops, [2, NUMBER - 1])
    for level, bits in zip(LEVELS, scores, strict=True):
        nats = found.likelihoods.nats[level]
        np.testing.assert_allclose(nats / math.log(2), bits, rtol=1e-4)
        expected = nats[[2, NUMBER - 1]]
        np.testing.assert_allclose(some.nats[level], expected, rtol=1e-4)


def test_the_unigram_cost_is_by_the_frequency_of_training_codes_plus_one(
    found, batch, tiny_generator
):
    costs = -np.log(np.array([5, *[2] * (CODES - 1)]) / (5 + 2 * (CODES - 1)))
    codes = tiny_generator.encode(batch["image"])
    for level, values in zip(LEVELS, codes, strict=True):
        expected = costs[values.numpy()].mean(axis=(1, 2))
        np.testing.assert_allclose(found.likelihoods.unigram_nats[level], expected)
