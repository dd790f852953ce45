"""Fixtures that several rooms of the tests share."""

import pytest

from tests.export import tiny_model
from tests.generators import make_generator


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """Returns folders of the tiny model: one by type, and what it lacks."""
    made = {}

    def folder(dtype="uint8", without=()):
        key = (dtype, without)
        if key not in made:
            base = tmp_path_factory.mktemp("model")
            about = tiny_model.make_about(dtype)
            made[key] = tiny_model.export(base, 3, about, without)
        return made[key]

    return folder


@pytest.fixture(scope="session")
def real_export(tmp_path_factory):
    """Returns the folder of versions of the tiny generator's export."""
    from tfvqgen.export.export import export_generator
    from tfvqgen.sampling import memory

    folder = tmp_path_factory.mktemp("export")
    with pytest.MonkeyPatch.context() as patch:
        # Long requests are done in parts, here of 16 cells, 4 images and 4 scores.
        patch.setattr(memory, "BUDGET", 0)
        patch.setattr(memory, "CONVOLVED_PIXELS", 4 * 16 * 16)
        patch.setattr(memory, "SCORED_POSITIONS", 4 * 4 * 4)
        export_generator(make_generator(4, "uint16"), folder)
    return folder
