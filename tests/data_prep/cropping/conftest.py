"""Three drawn fields and the crops of them; treat the folders as read-only."""

import shutil

import pytest

from tests.data_prep import drawn_fields


@pytest.fixture(scope="session")
def fields(tmp_path_factory):
    arrays = [drawn_fields.draw_field(seed) for seed in range(3)]
    return drawn_fields.write_fields(tmp_path_factory.mktemp("fields"), arrays)


@pytest.fixture(scope="session")
def finished(fields, tmp_path_factory):
    """Returns what one uninterrupted run leaves: 12 crops and an overlay."""
    output = tmp_path_factory.mktemp("finished") / "crops"
    drawn_fields.crop(fields, output, num_overlays=1)
    return output


@pytest.fixture
def copy_of(tmp_path):
    """Returns a function that copies a folder, so that a test may change it."""
    return lambda folder: shutil.copytree(folder, tmp_path / "copy")
