import pytest

from data_prep import labels
from tfvqgen.errors import UserError


def test_the_shipped_vocabularies_have_their_sizes_and_class_ids():
    whole = {n: labels.load_vocabulary(n) for n in labels.vocabulary_names()}
    sizes = {name: len(vocabulary.labels) for name, vocabulary in whole.items()}
    assert sizes == {"hpa24": 24, "hpa35": 35, "kaggle2018": 28, "kaggle2021": 19}
    known = {"Nucleoplasm": 0, "Golgi apparatus": 7, "Cytosol": 25, "Rods & rings": 27}
    assert {name: whole["kaggle2018"].find(name) for name in known} == known
    # The default is the competition without its four rarest.
    rare = {"Rods & rings", "Microtubule ends", "Lysosomes", "Endosomes"}
    default = [x for x in whole["kaggle2018"].labels if x not in rare]
    assert whole[labels.DEFAULT_VOCABULARY].labels == tuple(default)


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


def test_a_vocabulary_is_read_from_a_file(tmp_path):
    path = tmp_path / "own.txt"
    path.write_bytes("\ufeffNucleus\r\n\r\nNucleoplasm\r\n".encode())
    vocabulary = labels.load_vocabulary(str(path))
    assert vocabulary.labels == ("Nucleus", "Nucleoplasm")
    # An alias gives way to the name itself.
    assert vocabulary.find("nucleus") == 0
    with pytest.raises(UserError, match=r"no such vocabulary.*hpa24"):
        labels.load_vocabulary(str(tmp_path / "none.txt"))


@pytest.mark.parametrize("text", ["", "one\nOne\n", "one|two\n"])
def test_a_wrong_vocabulary_is_refused(tmp_path, text):
    (tmp_path / "own.txt").write_text(text)
    with pytest.raises(UserError, match=r"own\.txt"):
        labels.load_vocabulary(str(tmp_path / "own.txt"))


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
