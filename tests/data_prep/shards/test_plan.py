"""Groups are assigned to splits."""

import collections
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.shards import plan
from tfvqgen.errors import UserError

SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}


# Group -> (number of examples, class ids).
LABELLED = st.dictionaries(
    st.text(max_size=5),
    st.tuples(st.integers(1, 50), st.frozensets(st.integers(0, 6), max_size=3)),
    min_size=3,
    max_size=20,
)


def _assign(groups, seed=0, shares=SHARES):
    sizes = {group: size for group, (size, _) in groups.items()}
    labels = {group: ids for group, (_, ids) in groups.items()}
    return plan.assign_groups(sizes, labels, shares, seed)


@settings(max_examples=25, deadline=None)
@given(
    st.dictionaries(st.text(max_size=5), st.integers(1, 500), min_size=3, max_size=20),
    st.integers(0, 1000),
)
def test_every_split_gets_a_group_and_about_its_share(sizes, seed):
    assigned = plan.assign_groups(sizes, {}, SHARES, seed)
    assert assigned.keys() == sizes.keys()
    assert set(assigned.values()) == set(SHARES)
    # Cuts are half a group off, and one group more where a split would be empty.
    for split, share in SHARES.items():
        size = sum(sizes[group] for group in sizes if assigned[group] == split)
        assert abs(size - share * sum(sizes.values())) <= 2 * max(sizes.values())


@settings(max_examples=25, deadline=None)
@given(LABELLED, st.integers(0, 1000))
def test_splits_are_complete_and_do_not_depend_on_the_order(groups, seed):
    assigned = _assign(groups, seed)
    assert assigned.keys() == groups.keys()
    assert set(assigned.values()) == set(SHARES)
    assert _assign(dict(reversed(groups.items())), seed) == assigned
    single = {g: (size, sorted(ids)[:1]) for g, (size, ids) in groups.items()}
    assigned = _assign(single, seed)
    for label in range(7):
        found = [split for g, split in assigned.items() if label in single[g][1]]
        assert len(found) < 3 or set(found) == set(SHARES)


@pytest.mark.parametrize("seed", range(2))
def test_every_label_has_its_share_in_every_split(seed):
    # 8 labels of 10 to 80 groups, some with a second label.
    groups = {}
    for label in range(8):
        for index in range(10 * (label + 1)):
            ids = {label, (label + index) % 8} if index % 7 == 0 else {label}
            groups[f"{label}-{index}"] = (10, ids)
    assigned = _assign(groups, seed)
    for label in range(8):
        counts = collections.Counter(
            split for group, split in assigned.items() if label in groups[group][1]
        )
        for split, share in SHARES.items():
            assert abs(counts[split] - share * counts.total()) <= 3


def test_rounding_does_not_add_up_over_labels():
    groups = {f"{i}-{j}": (5, {i}) for i in range(50) for j in range(14)}
    counts = collections.Counter(_assign(groups).values())
    for split, share in SHARES.items():
        assert abs(counts[split] - share * len(groups)) <= 2


def test_a_new_group_moves_few_others():
    groups = {f"g{i}": (5, {i % 10}) for i in range(1000)}
    before, after = _assign(groups), _assign({**groups, "new": (5, {4})})
    # One for each split by the first rule, and one at every cut from this label on.
    assert sum(before[group] != after[group] for group in groups) <= 15
    assert _assign(groups, seed=1) != before


def test_too_few_groups_are_refused():
    with pytest.raises(UserError, match="2 groups"):
        plan.assign_groups({"a": 10, "b": 10}, {}, SHARES, seed=0)


def test_the_hash_is_the_same_on_every_machine():
    digest = plan.stable_hash(3, "order", "a", 1).hex()
    assert digest == hashlib.sha256(b"3\0order\0a\x001").hexdigest()


def test_shares_are_read():
    assert plan.parse_splits("train=0.8, validation=.1,test=0.1") == SHARES
    assert plan.parse_splits("train=1") == {"train": 1.0}


@pytest.mark.parametrize(
    "text",
    [
        "train",
        "train=0.8,dev=0.2",
        "train=0.5,train=0.5",
        "train=nan,test=1",
    ],
)
def test_wrong_shares_are_refused(text):
    with pytest.raises(UserError, match="wrong splits"):
        plan.parse_splits(text)
