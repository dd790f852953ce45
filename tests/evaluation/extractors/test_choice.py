import pytest

from tests.evaluation.extractors.test_saved_model import means, save
from tests.generators import make_generator
from tfvqgen.errors import DataError, UserError
from tfvqgen.evaluation.extractors.choice import choose_extractors
from tfvqgen.evaluation.extractors.extractor import frechet_name
from tfvqgen.evaluation.extractors.random_network import RandomNetwork

ABOUT = make_generator(4).model_info


class Classifier:
    name = "classifier"


def choose(*wanted):
    return choose_extractors(wanted, ABOUT, Classifier)


def test_extractors_come_as_they_are_named_and_in_order(tmp_path):
    path = save(tmp_path / "cells", means)
    found = choose("random", "classifier", str(path), f"inception={path}", f"my={path}")
    assert [one.name for one in found] == [
        "random",
        "classifier",
        "cells",
        "inception",
        "my",
    ]
    assert isinstance(found[0], RandomNetwork) and isinstance(found[1], Classifier)


def test_the_classifier_is_asked_for_only_where_it_is_wanted():
    assert choose_extractors(["random"], ABOUT, lambda: 1 / 0)


def test_the_classifier_is_not_asked_for_before_all_else_is_right(tmp_path):
    with pytest.raises(DataError, match="without saved_model"):
        choose_extractors(["classifier", str(tmp_path)], ABOUT, lambda: 1 / 0)


def test_only_what_was_given_as_inception_is_fid(tmp_path):
    assert frechet_name("inception") == "FID"
    assert frechet_name("random") == "FD-random"
    path = save(tmp_path / "inception", means)
    with pytest.raises(UserError, match="NAME=FOLDER"):
        choose(str(path))


@pytest.mark.parametrize(
    "text", ["", "=x", "x=", "random=x", "classifier=x", "clasifier"]
)
def test_names_that_mean_something_else_are_refused(text):
    with pytest.raises(UserError, match="no extractor: expected classifier, random"):
        choose(text)


def test_two_of_one_name_are_refused(tmp_path):
    path = save(tmp_path / "cells", means)
    with pytest.raises(UserError, match="two extractors of one name"):
        choose(str(path), f"cells={path}")
