"""Pairs of cells of one group, sampled anew in each epoch.

A group contains all cells that show one protein: those of one antibody or one well,
from all of its fields. The stream of pairs is a function of seed and position: every
epoch has each cell once as the target, in an order of its own, and samples another cell
of its group as the source.
"""

# Shapes: N cells of usable groups, S x S pixels, C channels.

import collections
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from data_prep.embedding.crop_images import CropImages
from data_prep.shards.plan import stable_hash
from tfvqgen.data.crops import Crop
from tfvqgen.data.input_pipeline import Share, batches, derived_seed, turned_at
from tfvqgen.data.tfrecords import READ_ERRORS, shuffled_index
from tfvqgen.errors import UserError

# Validation pairs are the same in every validation of every run.
_VALIDATION_SEED = 0


class Groups(NamedTuple):
    """The crops that make pairs."""

    training: dict[str, list[int]]  # Rows of the table by group.
    validation: dict[str, list[int]]  # The same for validation.
    left_out: dict[str, int]  # Numbers of crops that make no pairs, by reason.


def group_crops(
    crops: Sequence[Crop], *, min_group: int, validation_share: float, seed: int
) -> Groups:
    """Sorts accepted crops into groups for training and groups for validation.

    A hash of its name and the seed decides for each group, whatever other groups there
    are; only if one side would be empty, the group nearest to it changes sides.

    Raises:
        UserError: There are fewer than two groups of at least `min_group` cells.
    """
    rows: dict[str, list[int]] = collections.defaultdict(list)
    for number, crop in enumerate(crops):
        if crop.accepted:
            rows[crop.group].append(number)
    usable = {name: cells for name, cells in rows.items() if len(cells) >= min_group}
    if len(usable) < 2:
        raise UserError(
            f"too few groups: expected at least two groups of {min_group} or more "
            "accepted cells, one for training and one for validation. Received: "
            f"{len(usable)} of {len(rows)} groups (--min_group changes the limit)"
        )
    place = {
        name: int.from_bytes(stable_hash(seed, "held out", name)[:6], "big") / 2**48
        for name in usable
    }
    order = sorted(usable, key=place.__getitem__)
    held_out = sum(place[name] < validation_share for name in order)
    held_out = min(max(held_out, 1), len(order) - 1)
    accepted, paired = (sum(map(len, x.values())) for x in (rows, usable))
    left_out = {
        "not accepted": len(crops) - accepted,
        f"in a group of fewer than {min_group}": accepted - paired,
    }
    return Groups(
        training={name: usable[name] for name in order[held_out:]},
        validation={name: usable[name] for name in order[:held_out]},
        left_out={reason: count for reason, count in left_out.items() if count},
    )


class Pairs:
    """The pairs of some groups; an epoch has `num_examples` N of them.

    `groups` has at least two rows of the table in each group. With `augment`, training
    shows both cells in random symmetries of the square.
    """

    def __init__(
        self,
        images: CropImages,
        groups: Mapping[str, Sequence[int]],
        augment: bool = False,
    ):
        self.images = images
        self.rows = np.concatenate([groups[name] for name in sorted(groups)])
        sizes = np.array([len(groups[name]) for name in sorted(groups)])
        # For each cell, the first cell of its group and the size of the group.
        self._first = np.repeat(np.cumsum(sizes) - sizes, sizes)
        self._size = np.repeat(sizes, sizes)
        self._augment = augment
        self.num_examples = len(self.rows)

    def training_pairs(
        self,
        *,
        seed: int,
        batch_size: int,
        start_step: int = 0,
        cache: bool = False,
        **share: int,
    ) -> tf.data.Dataset:
        """Returns the endless batches of one worker, from a step on.

        `cache` holds all reduced images in memory. The other arguments are those of
        :meth:`Stage.training_data`; `batch_size` is that of all workers together.

        Returns:
            Batches of ``source`` and ``target``, [B, S, S, C] as stored, and
            ``source_row`` and ``target_row``, int64 [B].
        """
        part = Share(batch_size, **share)
        pair = self._pair(self._cached_reader() if cache else self._reader(), seed)
        order_seed = derived_seed(seed, "order of the targets")

        def example(number: tf.Tensor) -> dict[str, tf.Tensor]:
            position = part.position(number)
            target = shuffled_index(position, self.num_examples, order_seed)
            found = pair(target, position)
            if self._augment:
                for name in ("source", "target"):
                    turn_seed = derived_seed(seed, f"symmetry of the {name}")
                    found[name] = turned_at(found[name], position, turn_seed)
            return found

        numbers = tf.data.Dataset.range(start_step * part.per_worker, tf.int64.max)
        return batches(numbers, example, part)

    def held_out_pairs(self, *, batch_size: int, **share: int) -> tf.data.Dataset:
        """Returns one worker's batches of a pass in which each cell is a target once.

        They have no symmetries, and ``weight`` float32 [B], which is 0 for rows that
        fill up the last batch.
        """
        part = Share(batch_size, **share)
        pair = self._pair(self._reader(), _VALIDATION_SEED)
        last = self.num_examples - 1

        def example(number: tf.Tensor) -> dict[str, tf.Tensor]:
            position = part.position(number)
            target = tf.minimum(position, last)
            weight = tf.cast(position <= last, tf.float32)
            return {**pair(target, target), "weight": weight}

        steps = -(-self.num_examples // batch_size)
        return batches(tf.data.Dataset.range(steps * part.per_worker), example, part)

    def spread_pairs(self, count: int) -> dict[str, tf.Tensor]:
        """Returns a batch of validation pairs from as many groups as possible."""
        pair = self._pair(self._reader(), _VALIDATION_SEED)
        cells = np.linspace(0, self.num_examples - 1, count).astype(np.int64)
        pairs = tf.data.Dataset.from_tensor_slices(cells).map(lambda y: pair(y, y))
        return next(iter(pairs.batch(count)))

    def _pair(self, read, seed: int):
        """Returns the function from target and position, int64 [], to a pair."""
        partner_seed = derived_seed(seed, "partner")
        with tf.device("CPU"):
            rows, first, size = (
                tf.constant(values, tf.int64)
                for values in (self.rows, self._first, self._size)
            )

        def pair(target: tf.Tensor, position: tf.Tensor) -> dict[str, tf.Tensor]:
            key = tf.stack([tf.constant(partner_seed, tf.int64), position])
            others = size[target] - 1
            offset = tf.random.stateless_uniform([], key, 0, others, tf.int64)
            source = partner(target, first[target], size[target], offset)
            return {
                "source": read(source),
                "target": read(target),
                "source_row": rows[source],
                "target_row": rows[target],
            }

        return pair

    def _reader(self):
        read = self.images.reader()
        with tf.device("CPU"):
            rows = tf.constant(self.rows, tf.int64)
        return lambda cell: read(rows[cell])

    def _cached_reader(self):
        numbers = tf.data.Dataset.range(self.num_examples)
        read = numbers.map(self._reader(), num_parallel_calls=tf.data.AUTOTUNE)
        try:
            kept = np.stack(list(read.as_numpy_iterator()))
        except READ_ERRORS as error:
            raise self.images.explain(error) from error
        with tf.device("CPU"):
            images = tf.constant(kept)
        return lambda cell: images[cell]


def partner(cell, first, size, offset):
    """Returns another cell of a group; each offset below size - 1 gives another one."""
    return first + (cell - first + 1 + offset) % size
