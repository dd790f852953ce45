import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfvqgen.errors import UserError
from tfvqgen.generation.request import Request, label_set, parse_label_sets

VOCABULARY = ("Nucleoli", "Golgi apparatus", "Rods & rings")


def test_every_label_is_drawn_where_none_is_named():
    assert parse_label_sets(None, VOCABULARY) == tuple((x,) for x in VOCABULARY)


def test_a_model_without_labels_draws_cells_of_none():
    assert parse_label_sets(None, ()) == ((),)


def test_names_are_parted_by_commas_and_sets_are_joined_by_bars():
    sets = parse_label_sets(
        ["golgi APPARATUS, nucleoli|rods & rings", "any"], VOCABULARY
    )
    assert sets == (("Golgi apparatus",), ("Nucleoli", "Rods & rings"), ())


def test_a_label_with_a_comma_is_asked_for_by_itself():
    vocabulary = ("Rods, rings", "Nucleoli")
    sets = parse_label_sets(["rods, rings", "Nucleoli,any"], vocabulary)
    assert sets == (("Rods, rings",), ("Nucleoli",), ())


def test_a_set_said_twice_in_another_order_is_drawn_once():
    sets = parse_label_sets(["Nucleoli|Rods & rings,Rods & rings|Nucleoli"], VOCABULARY)
    assert sets == (("Nucleoli", "Rods & rings"),)


def test_an_unknown_label_is_refused_with_the_nearest():
    with pytest.raises(UserError, match=r"did you mean 'Golgi apparatus'.*'Golgi'"):
        parse_label_sets(["Golgi"], VOCABULARY)
    with pytest.raises(UserError, match=r"^unknown label: expected Nucleoli, "):
        parse_label_sets(["xyz"], VOCABULARY)
    with pytest.raises(UserError, match="no labels"):
        parse_label_sets([" , "], VOCABULARY)


def test_a_name_may_have_a_comma_where_names_are_a_list():
    vocabulary = ("Nucleoli", "Vesicles, punctate", "any")
    found = label_set(["any", "vesicles, PUNCTATE"], vocabulary)
    assert found == ("Vesicles, punctate", "any")
    assert label_set([], vocabulary) == ()


@pytest.mark.parametrize(
    "keys",
    [
        {"num_per_label": 0},
        {"num_per_label": 10**9},
        {"seed": -1},
        {"seed": 2**63 - 1, "num_per_label": 2},
        {"temperature": 0.0},
        {"temperature": float("nan")},
        {"temperature": float("inf")},
        {"temperature": 1e-50},
        {"temperature": 10**400},
        {"top_p": 0.0},
        {"top_p": 1.01},
        {"top_p": 1e-50},
        {"top_p": float("nan")},
        {"guidance": -0.1},
        {"guidance": float("inf")},
        {"guidance": 1e39},
    ],
    ids=str,
)
def test_values_out_of_range_are_refused(keys):
    with pytest.raises(UserError, match=f"{next(iter(keys))} is out of range"):
        Request(label_sets=(("Nucleoli",),), **keys)


def test_the_largest_seed_is_taken():
    request = Request(label_sets=((),), seed=2**63 - 1, num_per_label=1)
    assert request.samples(VOCABULARY)[0].seed == 2**63 - 1


@given(
    st.lists(
        st.sets(st.sampled_from(range(4)), max_size=4), min_size=1, unique_by=frozenset
    ),
    st.integers(1, 3),
    st.integers(0, 5),
)
def test_every_sample_has_a_name_of_its_own(sets, number, seed):
    vocabulary = ("a b", "a-b", "ä", "x" * 200)
    label_sets = tuple(tuple(vocabulary[i] for i in sorted(chosen)) for chosen in sets)
    request = Request(label_sets=label_sets, num_per_label=number, seed=seed)
    samples = request.samples(vocabulary)
    assert len({sample.name for sample in samples}) == len(sets) * number
    for labels in label_sets:
        seeds = [sample.seed for sample in samples if sample.labels == labels]
        assert seeds == list(range(seed, seed + number))
