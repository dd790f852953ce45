import pytest

from tests.serving import tiny_model


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
