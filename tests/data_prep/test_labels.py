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
        ("cytosol", "Cytosol"),
        (" Golgi  APPARATUS ", "Golgi apparatus"),
        ("Cell Junctions", "Cell junctions"),
        ("Lipid droplet", "Lipid droplets"),
        ("Nucleus", "Nucleoplasm"),
        ("Cytoplasm", "Cytosol"),
        ("Focal Adhesions", "Focal adhesion sites"),
        ("Rods & Rings", "Rods & rings"),
    ],
)
def test_names_match_without_case_and_by_alias(written, meant):
    vocabulary = labels.load_vocabulary("kaggle2018")
    assert vocabulary.labels[vocabulary.find(written)] == meant


def test_an_alias_gives_way_to_the_name_itself(tmp_path):
    (tmp_path / "own.txt").write_text("Nucleus\nNucleoplasm\n")
    vocabulary = labels.load_vocabulary(str(tmp_path / "own.txt"))
    assert vocabulary.find("nucleus") == 0


def test_the_message_about_an_unknown_label_has_the_most_similar_name():
    with pytest.raises(UserError, match=r"did you mean 'Nucleoplasm'.*'Nucleoplams'"):
        labels.resolve(["Nucleoplams"], labels.load_vocabulary("hpa24"))


def test_a_vocabulary_is_read_from_a_file(tmp_path):
    path = tmp_path / "own.txt"
    path.write_bytes("\ufeffone\r\n\r\ntwo\r\n".encode())
    assert labels.load_vocabulary(str(path)).labels == ("one", "two")


@pytest.mark.parametrize("text", ["", "one\nOne\n", "one|two\n"])
def test_a_wrong_vocabulary_is_refused(tmp_path, text):
    (tmp_path / "own.txt").write_text(text)
    with pytest.raises(UserError, match=r"own\.txt"):
        labels.load_vocabulary(str(tmp_path / "own.txt"))


@pytest.mark.parametrize("name", ["hpa42", "a\0b"])
def test_a_missing_vocabulary_is_named(name):
    with pytest.raises(UserError, match=r"no such vocabulary.*hpa24"):
        labels.load_vocabulary(name)


def test_labels_of_other_vocabularies_are_outside_and_misspelt_ones_are_refused():
    vocabulary = labels.load_vocabulary("hpa24")
    assert labels.resolve(["Midbody", "cytoplasm", "Cytosol"], vocabulary) == [
        None,
        vocabulary.find("Cytosol"),
    ]
    with pytest.raises(UserError, match="did you mean 'Midbody'"):
        labels.resolve(["Midbodi"], vocabulary)


def test_with_a_vocabulary_from_a_file_all_other_labels_are_outside():
    vocabulary = labels.Vocabulary("own", ("one",))
    assert labels.resolve(["One", "Midbodi"], vocabulary) == [0, None]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (
            "multi_hot",
            {(): [[]], (3,): [[3]], (3, 1): [[1, 3]], (3, None): [[3]], (None,): []},
        ),
        (
            "single_only",
            {(): [], (3,): [[3]], (3, 1): [], (3, None): [], (None,): []},
        ),
        (
            "primary",
            {(): [[]], (3,): [[3]], (3, 1): [[3]], (3, None): [[3]], (None, 3): []},
        ),
        (
            "duplicate",
            {(): [[]], (3,): [[3]], (3, 1): [[3], [1]], (3, None): [[3]], (None,): []},
        ),
    ],
)
def test_a_policy_makes_these_records(policy, expected):
    assert {ids: labels.records_of(ids, policy) for ids in expected} == expected
