import collections

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.embedding.crop_images import CropImages
from data_prep.embedding.pairing import Pairs, group_crops, partner
from tests import support
from tfvqgen.data.crops import Crop, read_crops
from tfvqgen.errors import UserError

SIZES = (2, 3, 5)
NUM_CELLS = sum(SIZES)
CELL_GROUPS = [f"g{k}" for k, size in enumerate(SIZES) for _ in range(size)]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    # Cells of a group do not follow one another in the table.
    shuffled = np.random.default_rng(0).permutation(CELL_GROUPS)
    folder = support.make_crops(
        tmp_path_factory.mktemp("pairs") / "crops",
        [["a"]] * NUM_CELLS,
        groups=list(shuffled),
        shape=(8, 8, 3),
    )
    return CropImages(read_crops(folder), ("green", "blue", "red"), 8)


@pytest.fixture(scope="module")
def groups(images):
    found = collections.defaultdict(list)
    for number, crop in enumerate(images.folder.rows):
        found[crop.group].append(number)
    return dict(found)


def take(pairs, steps, **options):
    options = {"seed": 3, "batch_size": 4, **options}
    data = pairs.training_pairs(**options).take(steps)
    return [{name: x.numpy() for name, x in batch.items()} for batch in data]


def rows(batches):
    return [
        (int(y), int(x))
        for batch in batches
        for y, x in zip(batch["target_row"], batch["source_row"], strict=True)
    ]


@given(st.integers(2, 50), st.integers(0, 1000), st.data())
def test_the_partners_of_a_cell_are_all_others_of_its_group(size, first, data):
    cell = first + data.draw(st.integers(0, size - 1))
    found = {partner(cell, first, size, draw) for draw in range(size - 1)}
    assert found == set(range(first, first + size)) - {cell}


def test_pairs_are_the_images_of_two_cells_of_one_group(images, groups):
    group = [crop.group for crop in images.folder.rows]
    batches = take(Pairs(images, groups), 100)
    for target, source in rows(batches):
        assert target != source
        assert group[target] == group[source]
    for batch in batches[:3]:
        for name in ("source", "target"):
            for row, found in zip(batch[f"{name}_row"], batch[name], strict=True):
                expected = support.random_image((8, 8, 3), seed=int(row))
                np.testing.assert_array_equal(found, expected[..., [1, 2, 0]])


def test_every_epoch_has_each_cell_once_as_a_target_with_other_sources(images, groups):
    pairs = rows(take(Pairs(images, groups), 2 * NUM_CELLS // 2, batch_size=2))
    first, second = pairs[:NUM_CELLS], pairs[NUM_CELLS:]
    for epoch in (first, second):
        assert sorted(target for target, _ in epoch) == list(range(NUM_CELLS))
    assert [y for y, _ in first] != [y for y, _ in second]
    assert dict(first) != dict(second)


def test_partners_are_uniformly_distributed(images, groups):
    pairs = rows(take(Pairs(images, groups), 500, batch_size=NUM_CELLS))
    target = groups["g2"][0]
    counts = collections.Counter(x for y, x in pairs if y == target)
    assert sorted(counts) == sorted(set(groups["g2"]) - {target})
    # 500 draws among 4: a standard deviation of 9.7.
    assert all(abs(count - 125) < 50 for count in counts.values())


@pytest.mark.parametrize("cache", [False, True])
def test_pairs_are_the_same_from_any_step_with_one_seed(images, groups, cache):
    pairs = Pairs(images, groups, augment=True)
    whole = take(pairs, 7)
    rest = take(pairs, 4, start_step=3, cache=cache)
    for batch, other in zip(whole[3:], rest, strict=True):
        for name in batch:
            np.testing.assert_array_equal(batch[name], other[name])
    assert rows(whole) != rows(take(pairs, 7, seed=4))


def test_workers_and_replicas_share_the_same_batches(images, groups):
    pairs = Pairs(images, groups)
    whole = rows(take(pairs, 6))
    shares = [
        take(pairs, 12, num_workers=2, worker=worker, num_replicas_per_worker=2)
        for worker in range(2)
    ]
    together = [
        batch
        for step in range(6)
        for share in shares
        for batch in share[2 * step : 2 * step + 2]
    ]
    assert rows(together) == whole


def test_both_cells_have_independent_symmetries(images, groups):
    turns = collections.Counter()
    for batch in take(Pairs(images, groups, augment=True), 40):
        for place in range(4):
            turns[
                tuple(turn_of(batch, name, place) for name in ("source", "target"))
            ] += 1
    assert {source for source, _ in turns} == set(range(8))
    assert {target for _, target in turns} == set(range(8))
    assert len(turns) > 40, "of 64 pairs of symmetries"


def turn_of(batch, name, place):
    row = int(batch[f"{name}_row"][place])
    image = support.random_image((8, 8, 3), seed=row)[..., [1, 2, 0]]
    all_turns = [np.rot90(m, k) for m in (image, image[:, ::-1]) for k in range(4)]
    found = [np.array_equal(batch[name][place], turn) for turn in all_turns]
    assert sum(found) == 1
    return found.index(True)


def test_validation_pairs_are_the_same_in_each_pass_and_have_each_cell_once(
    images, groups
):
    pairs = Pairs(images, groups)
    passes = [list(pairs.held_out_pairs(batch_size=4)) for _ in range(2)]
    first, second = (rows(each) for each in passes)
    assert first == second
    assert len(first) == 12
    weights = np.concatenate([batch["weight"] for batch in passes[0]])
    np.testing.assert_array_equal(weights, [1] * NUM_CELLS + [0, 0])
    assert sorted(y for y, _ in first[:NUM_CELLS]) == list(range(NUM_CELLS))
    assert all(y != x for y, x in first)
    group = [crop.group for crop in images.folder.rows]
    spread = rows([pairs.spread_pairs(6)])
    assert {group[y] for y, _ in spread} == set(groups)
    assert set(spread) <= set(first)


def crops_of(*groups):
    return [
        Crop(crop_id=f"{name}-{i}", path="x.png", labels=(), group=name, accepted=ok)
        for name, count, ok in groups
        for i in range(count)
    ]


def test_small_groups_and_rejected_cells_are_left_out_and_counted():
    crops = crops_of(("a", 6, True), ("b", 5, True), ("c", 7, True), ("a2", 9, False))
    found = group_crops(crops, min_group=6, validation_share=0.5, seed=0)
    assert set(found.training) | set(found.validation) == {"a", "c"}
    assert found.left_out == {"not accepted": 9, "in a group of fewer than 6": 5}


@given(st.integers(0, 1000), st.sampled_from([0.0, 0.1, 0.5, 0.9]))
def test_whole_groups_are_for_validation_and_neither_side_is_empty(seed, share):
    crops = crops_of(*((f"g{i}", 2, True) for i in range(5)))
    found = group_crops(crops, min_group=2, validation_share=share, seed=seed)
    assert found.training and found.validation
    assert not set(found.training) & set(found.validation)
    every = [*found.training.values(), *found.validation.values()]
    assert sorted(row for cells in every for row in cells) == list(range(10))


def test_more_groups_do_not_move_the_others_between_training_and_validation():
    few = crops_of(*((f"g{i}", 2, True) for i in range(100)))
    many = crops_of(*((f"g{i}", 2, True) for i in range(200)))
    options = {"min_group": 2, "validation_share": 0.2, "seed": 1}
    small, large = group_crops(few, **options), group_crops(many, **options)
    assert set(small.validation) == {x for x in large.validation if int(x[1:]) < 100}
    assert 10 <= len(small.validation) <= 30


def test_a_single_usable_group_is_refused():
    with pytest.raises(UserError, match=r"too few groups.*Received: 1 of 2 groups"):
        group_crops(
            crops_of(("a", 6, True), ("b", 5, True)),
            min_group=6,
            validation_share=0.1,
            seed=0,
        )
