"""Fixtures that tests of several packages share; treat their folders as read-only."""

import fcntl
import os
import shutil
import signal

import pytest

from tests import support
from tests.generators import LABELS, make_generator

# Programs that a shell starts in the background ignore Ctrl-C, which some tests send.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Runs the tests of one export in one worker, which prepares its graphs once."""
    # pytest-xdist reads the groups in the same hook.
    for item in items:
        if "saved_model" in item.fixturenames:
            item.add_marker(pytest.mark.xdist_group("export"))


@pytest.fixture(scope="session")
def make_once(tmp_path_factory):
    """Returns ``folder = make_once(name, make)``, where ``make(folder)`` fills it.

    The workers of pytest-xdist share the folder: the first one that asks makes it.
    """
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent

    def folder_of(name, make):
        folder = root / f"shared_{name}"
        with open(root / f"shared_{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                unfinished = root / f"unfinished_{name}"
                shutil.rmtree(unfinished, ignore_errors=True)
                make(unfinished)
                unfinished.rename(folder)
        return folder

    return folder_of


@pytest.fixture(scope="session")
def tiny_crops(make_once):
    """Returns a folder of 12 crops, 16 x 16 pixels, 4 channels, 3 labels, 6 groups."""
    labels = [["Cytosol"], ["Nucleoli"], ["Golgi apparatus"]] * 4

    def make(folder):
        support.make_crops(folder, labels, shape=(16, 16, 4))

    return make_once("crops", make)


@pytest.fixture(scope="session")
def tiny_shards(make_once):
    """Returns a folder of shards: 16 x 16 pixels, 3 channels, 3 labels, 3 splits."""
    chosen = [[0], [1], [2], [0, 1], [], [1], [0], [2], [1], []]

    def make(folder):
        support.make_dataset(
            folder,
            {"train": 10, "validation": 6, "test": 5},
            shape=(16, 16, 3),
            labels=LABELS,
            example_labels=chosen,
        )

    return make_once("shards", make)


@pytest.fixture(scope="session")
def trained_workdir(make_once, tiny_shards):
    """Returns a workdir of `tiny_shards` with every stage trained for 2 steps."""
    from tfvqgen.training.train import train

    def make(folder):
        with support.eagerly():
            train(
                data_dir=tiny_shards,
                workdir=folder,
                stage="all",
                steps=2,
                overrides=support.TINY,
                strategy="one_device",
            )

    return make_once("workdir", make)


@pytest.fixture(scope="session")
def tiny_generator():
    """Returns a generator of untrained models: 16 x 16 pixels, 3 channels, uint8."""
    return make_generator()


@pytest.fixture(scope="session")
def real_export(make_once):
    """Returns the folder of versions of the tiny generator's export."""
    from tfvqgen.export import export as exporting
    from tfvqgen.export import signatures

    def make(folder):
        with pytest.MonkeyPatch.context() as patch:
            # Long requests are done in parts, here of 16 cells, 4 images and 4 scores.
            patch.setattr(signatures, "_SAMPLING_BYTES", 0)
            patch.setattr(signatures, "_CONVOLVED_PIXELS", 4 * 16 * 16)
            patch.setattr(signatures, "_SCORED_CODES", 4 * 4 * 4)
            # A test runs all checks.
            patch.setattr(exporting, "_check", lambda folder: None)
            exporting.export_generator(make_generator(4, "uint16"), folder)

    return make_once("export", make)


@pytest.fixture(scope="session")
def saved_model(real_export):
    """Returns `real_export` as a source of cells."""
    from tfvqgen.generation.saved_model import SavedModel

    return SavedModel(real_export)


@pytest.fixture(scope="session")
def _running_server(saved_model):
    from tests.serving import FakeServing

    # A second session would prepare every graph again.
    with FakeServing(saved_model._loaded).running() as server:
        yield server


@pytest.fixture
def serving(_running_server):
    """Returns an imitation of TensorFlow Serving with `real_export` as version 1."""
    _running_server.reset()
    return _running_server


@pytest.fixture(scope="module")
def chromium():
    """Returns Debian's Chromium without a window, driven by Playwright."""
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("Chromium is not installed")
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="Playwright is not installed"
    )
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=executable, args=["--no-sandbox"]
        )
        yield browser
        browser.close()
