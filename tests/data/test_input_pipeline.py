import contextlib
import os

import numpy as np
import pytest
import tensorflow as tf

from tests import support
from tfvqgen.data import input_pipeline
from tfvqgen.errors import UserError

SIZE = 10


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return support.make_dataset(folder, {"train": SIZE}).split("train")


def _take(split, steps, **options):
    options = {"seed": 7, "batch_size": 4, **options}
    batches = input_pipeline.training_examples(split, **options)
    return [
        {name: part.numpy() for name, part in batch.items()}
        for batch in batches.take(steps)
    ]


def _indices(batches):
    return np.concatenate([batch["index"] for batch in batches]).tolist()


def _assert_equal(batches, others):
    assert len(batches) == len(others)
    for batch, other in zip(batches, others, strict=True):
        assert batch.keys() == other.keys()
        for name in batch:
            np.testing.assert_array_equal(batch[name], other[name])


def test_batches_contain_the_stored_examples(split):
    spec = input_pipeline.training_examples(split, seed=0, batch_size=4).element_spec
    assert spec["image"].shape == (4, 8, 8, 3)
    for batch in _take(split, 2):
        assert batch["image"].shape == (4, 8, 8, 3)
        assert batch["image"].dtype == np.uint8
        assert batch["labels"].dtype == np.float32
        for image, labels, index in zip(
            batch["image"], batch["labels"], batch["index"], strict=True
        ):
            np.testing.assert_array_equal(
                image, support.random_image((8, 8, 3), seed=index)
            )
            np.testing.assert_array_equal(labels, np.eye(3)[index % 3])


def test_every_example_comes_once_an_epoch(split):
    order = _indices(_take(split, 15))
    for epoch in range(6):
        assert sorted(order[epoch * SIZE : (epoch + 1) * SIZE]) == list(range(SIZE))


@pytest.mark.parametrize("options", [{"label_balance": 0.7}, {"cache": True}])
def test_a_stream_from_a_step_is_the_rest_of_the_stream(split, options):
    options = {"augment": True, **options}
    whole = _take(split, 8, **options)
    if options.get("cache"):
        _assert_equal(_take(split, 3, augment=True), whole[:3])
    _assert_equal(_take(split, 5, start_step=3, **options), whole[3:])
    other = _take(split, 8, **options, seed=8)
    assert _indices(other) != _indices(whole)


@pytest.mark.parametrize(("workers", "replicas"), [(1, 2), (3, 2)])
def test_the_batches_of_all_workers_and_replicas_form_the_global_batch(
    split, workers, replicas
):
    options = {"batch_size": 12, "augment": True, "start_step": 3}
    shares = [
        _take(
            split,
            3 * replicas,
            num_workers=workers,
            worker=worker,
            num_replicas_per_worker=replicas,
            **options,
        )
        for worker in range(workers)
    ]
    joined = []
    for step in range(3):
        parts = [
            share[step * replicas + replica]
            for share in shares
            for replica in range(replicas)
        ]
        joined.append(
            {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
        )
    _assert_equal(joined, _take(split, 3, **options))


def test_evaluation_sees_every_example_once_in_order(split):
    batches = list(
        input_pipeline.evaluation_examples(split, batch_size=4).as_numpy_iterator()
    )
    assert [len(batch["index"]) for batch in batches] == [4, 4, 4]
    assert _indices(batches) == [*range(10), -1, -1]
    weights = np.concatenate([batch["weight"] for batch in batches])
    np.testing.assert_array_equal(weights, [1.0] * 10 + [0.0] * 2)
    images = np.concatenate([batch["image"] for batch in batches])
    for index in range(10):
        expected = support.random_image((8, 8, 3), seed=index)
        np.testing.assert_array_equal(images[index], expected)


def test_evaluation_batches_are_shared_among_workers(split):
    parts = [
        list(
            input_pipeline.evaluation_examples(
                split,
                batch_size=8,
                num_workers=2,
                worker=worker,
                num_replicas_per_worker=2,
            ).as_numpy_iterator()
        )
        for worker in range(2)
    ]
    indices = [[_indices([batch]) for batch in part] for part in parts]
    padding = [-1, -1]
    assert indices[0] == [[0, 1], [2, 3], [8, 9], padding]
    assert indices[1] == [[4, 5], [6, 7], padding, padding]


def _all_symmetries(image):
    turned = [np.rot90(image, k) for k in range(4)]
    return [*turned, *(view[:, ::-1] for view in turned)]


def test_the_symmetries_are_the_eight_of_the_square():
    image = support.random_image((6, 6, 2))
    ours = [input_pipeline.symmetry(tf.constant(image), n).numpy() for n in range(8)]
    np.testing.assert_array_equal(ours[0], image)
    assert {a.tobytes() for a in ours} == {
        np.ascontiguousarray(a).tobytes() for a in _all_symmetries(image)
    }


def test_all_symmetries_are_equally_likely_in_training(tmp_path):
    split = support.make_dataset(
        tmp_path, {"train": 1}, shape=(3, 3, 1), num_shards=1
    ).split("train")
    (batch,) = _take(split, 1, batch_size=1600, augment=True)
    image = support.random_image((3, 3, 1))
    kinds = [np.ascontiguousarray(view).tobytes() for view in _all_symmetries(image)]
    counts = [sum(i.tobytes() == kind for i in batch["image"]) for kind in kinds]
    assert sum(counts) == 1600
    # 200 expected, standard deviation 13.
    assert max(abs(count - 200) for count in counts) < 70


def test_weights_balance_single_labels_exactly():
    labels = np.eye(3, dtype=bool)[[0] * 90 + [1] * 9 + [2]]
    for balance in (0.0, 0.5, 1.0):
        weights = input_pipeline.balancing_weights(labels, balance)
        shares = weights @ labels
        expected = np.array([90.0, 9.0, 1.0]) ** (1 - balance)
        np.testing.assert_allclose(shares, expected / expected.sum())


def test_weights_follow_the_rarest_label():
    # 0 is common, 1 rare; two examples have both; one has none.
    labels = np.array([[1, 0]] * 6 + [[1, 1]] * 2 + [[0, 1]] * 1 + [[0, 0]], bool)
    weights = input_pipeline.balancing_weights(labels, 1.0)
    np.testing.assert_allclose(weights, [1 / 18] * 6 + [1 / 9] * 3 + [1 / 3])


def test_balanced_batches_are_balanced(tmp_path):
    chosen = [(0,)] * 45 + [(1,)] * 4 + [()]
    split = support.make_dataset(
        tmp_path, {"train": 50}, shape=(2, 2, 1), example_labels=chosen
    ).split("train")
    (batch,) = _take(split, 1, batch_size=1000, label_balance=1.0)
    shares = batch["labels"].mean(axis=0)
    # A third each; standard deviation 0.015.
    np.testing.assert_allclose(shares[:2], 1 / 3, atol=0.08)
    assert set(batch["index"].tolist()) == set(range(50))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 5, "num_workers": 2}, "batch_size"),
        ({"num_workers": 2, "worker": 2}, "worker"),
        ({"label_balance": 1.5}, "label_balance"),
    ],
)
def test_wrong_numbers_are_refused(split, options, words):
    with pytest.raises(UserError, match=words):
        _take(split, 1, **options)


def _open_shards():
    targets = []
    for name in os.listdir("/proc/self/fd"):
        # A file may be closed in the meantime.
        with contextlib.suppress(OSError):
            targets.append(os.readlink(f"/proc/self/fd/{name}"))
    return sum(target.endswith(".tfrecord") for target in targets)


def test_open_files_do_not_grow_with_the_number_of_shards(tmp_path):
    split = support.make_dataset(
        tmp_path, {"train": 40}, shape=(2, 2, 1), num_shards=40
    ).split("train")
    batches = input_pipeline.training_examples(split, seed=0, batch_size=8)
    counts = [_open_shards() for _ in batches.take(20)]
    # Only files that are being read are open: at most one per parallel call.
    assert max(counts) <= 2 * (os.cpu_count() or 1) + 2
