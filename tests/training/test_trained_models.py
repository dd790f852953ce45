import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from tests.priors import make_prior, prior_config
from tfvqgen.config import Config
from tfvqgen.errors import DataError, UserError
from tfvqgen.training.checkpoints import Checkpoints
from tfvqgen.training.optimization import WeightAverages
from tfvqgen.training.trained_models import load_prior, origin_file
from tfvqgen.training.workdir import Workdir


def save_prior(workdir, losses=()):
    """Saves a checkpoint of averages that are 0, 1, 2, ... at validations."""
    import keras

    prior = make_prior()
    optimizer = keras.optimizers.Adam()
    optimizer.build(prior.trainable_variables)
    averages = WeightAverages(prior, decay=0.9)

    def fill(value):
        for average in averages.values:
            average.assign(tf.fill(average.shape, float(value)))

    for value, loss in enumerate(losses):
        fill(value)
        averages.keep_if_best(loss)
    fill(len(losses))
    Checkpoints(
        workdir.checkpoints("top"), model=prior, optimizer=optimizer, averages=averages
    ).save(7)
    origin_file(workdir, "top").write_text('{"autoencoder_fingerprint": "a"}')
    config = dataclasses.replace(Config(), top=prior_config())
    workdir.config_file.write_text(
        json.dumps({"config": config.to_json(), "dataset_fingerprint": ""})
    )


def values_of(prior):
    return {float(x) for w in prior.trainable_weights for x in np.unique(w.numpy())}


def test_a_prior_has_the_averages_with_the_lowest_held_out_loss(tmp_path):
    save_prior(Workdir(tmp_path), losses=[3.0, 2.0, 2.5])
    prior, step = load_prior(Workdir(tmp_path), "top", "a")
    assert values_of(prior) == {1.0}
    assert step == 7


def test_before_the_first_validation_it_has_the_averages_as_they_are(tmp_path):
    save_prior(Workdir(tmp_path))
    assert values_of(load_prior(Workdir(tmp_path), "top", "a")[0]) == {0.0}


def test_a_prior_of_another_autoencoders_codes_is_refused(tmp_path):
    save_prior(Workdir(tmp_path))
    with pytest.raises(UserError, match=r"expected b; remove .*top .* Received: a$"):
        load_prior(Workdir(tmp_path), "top", "b")
    origin_file(Workdir(tmp_path), "top").write_text("[]")
    with pytest.raises(DataError, match="damaged file"):
        load_prior(Workdir(tmp_path), "top", "a")


def test_what_is_not_trained_is_refused(tmp_path):
    with pytest.raises(UserError, match="no workdir: expected"):
        load_prior(Workdir(tmp_path), "top", "a")
    save_prior(Workdir(tmp_path))
    with pytest.raises(UserError, match=r"bottom prior is not trained: expected"):
        load_prior(Workdir(tmp_path), "bottom", "a")
