"""Fixtures of the tests of training, which run without graphs unless they say so."""

import shutil

import pytest
import tensorflow as tf

from tests import support
from tests.training.runs import run, two_replicas


@pytest.fixture(autouse=True)
def eager():
    with support.eagerly():
        yield


@pytest.fixture
def mirrored(monkeypatch):
    """Lets the strategy ``mirrored`` be the one of this process, and makes graphs."""
    strategy = two_replicas()
    monkeypatch.setattr(tf.distribute, "MirroredStrategy", lambda _: strategy)
    with support.eagerly(False):
        yield


@pytest.fixture(scope="session")
def finished(make_once, tiny_shards):
    """Returns a workdir: all stages, 9 steps each, with a critic, not interrupted."""

    def make(folder):
        with support.eagerly():
            run(tiny_shards, folder, steps=9, stage="all")

    return make_once("finished", make)


@pytest.fixture
def workdir(finished, tmp_path):
    """Returns a copy of `finished` that the test may change."""
    return shutil.copytree(finished, tmp_path / "workdir")
