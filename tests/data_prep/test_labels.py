import pytest

from data_prep import labels
from tfvqgen.errors import UserError


def test_the_shipped_vocabularies_have_their_sizes():
    sizes = {
        n: len(labels.load_vocabulary(n).labels) for n in labels.vocabulary_names()
    }
    assert sizes == {"hpa24": 24, "hpa35": 35, "kaggle2018": 28, "kaggle2021": 19}


def test_class_ids_are_those_of_the_competition():
    vocabulary = labels.load_vocabulary("kaggle2018")
    known = {"Nucleoplasm": 0, "Golgi apparatus": 7, "Cytosol": 25, "Rods & rings": 27}
    assert {name: vocabulary.find(name) for name in known} == known


def test_the_default_is_the_competition_without_its_four_rarest():
    default = labels.load_vocabulary(labels.DEFAULT_VOCABULARY).labels
    whole = labels.load_vocabulary("kaggle2018").labels
    assert [name for name in whole if name in default] == list(default)
    assert set(whole) - set(default) == {
        "Rods & rings",
        "Microtubule ends",
        "Lysosomes",
        "Endosomes",
    }


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (" Golgi  APPARATUS ", "Golgi apparatus"),
        ("Lipid droplet", "Lipid droplets"),
        ("Nucleus", "Nucleoplasm"),
        ("Focal Adhesions", "Focal adhesion sites"),
    ],
)
def test_names_match_without_case_and_by_alias(written, meant):
    vocabulary = labels.load_vocabulary("kaggle2018")
    assert vocabulary.labels[vocabulary.find(written)] == meant


def test_an_alias_gives_way_to_the_name_itself(tmp_path):
    (tmp_path / "own.txt").write_text("Nucleus\nNucleoplasm\n")
    vocabulary = labels.load_vocabulary(str(tmp_path / "own.txt"))
    assert vocabulary.find("nucleus") == 0


def test_a_vocabulary_is_read_from_a_file(tmp_path):
    path = tmp_path / "own.txt"
    path.write_bytes("\ufeffone\r\n\r\ntwo\r\n".encode())
    assert labels.load_vocabulary(str(path)).labels == ("one", "two")


@pytest.mark.parametrize("text", ["", "one\nOne\n", "one|two\n"])
def test_a_wrong_vocabulary_is_refused(tmp_path, text):
    (tmp_path / "own.txt").write_text(text)
    with pytest.raises(UserError, match=r"own\.txt"):
        labels.load_vocabulary(str(tmp_path / "own.txt"))


def test_a_missing_vocabulary_is_named():
    with pytest.raises(UserError, match=r"no such vocabulary.*hpa24"):
        labels.load_vocabulary("hpa42")


def test_labels_of_other_vocabularies_are_outside_and_misspelt_ones_are_refused():
    vocabulary = labels.load_vocabulary("hpa24")
    found = labels.resolve(["Midbody", "cytoplasm", "Cytosol"], vocabulary)
    assert found == [None, vocabulary.find("Cytosol")]
    with pytest.raises(UserError, match="did you mean 'Midbody'"):
        labels.resolve(["Midbodi"], vocabulary)
    # With a vocabulary from a file all other labels are outside.
    own = labels.Vocabulary("own", ("one",))
    assert labels.resolve(["One", "Midbodi"], own) == [0, None]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        # Of no label, one, two, one and one outside, one outside and one.
        ("multi_hot", [[[]], [[3]], [[1, 3]], [[3]], [[3]]]),
        ("single_only", [[], [[3]], [], [], []]),
        ("primary", [[[]], [[3]], [[3]], [[3]], []]),
        ("duplicate", [[[]], [[3]], [[3], [1]], [[3]], [[3]]]),
    ],
)
def test_a_policy_makes_these_records(policy, expected):
    given = ((), (3,), (3, 1), (3, None), (None, 3))
    assert [labels.records_of(ids, policy) for ids in given] == expected
    assert labels.records_of((None,), policy) == []
