"""Decides which crops become which records of which split, before anything is read."""

import collections
import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

from data_prep import labels
from data_prep.screening.decisions import DROPPED_BY_DECISION
from data_prep.shards.crop_source import CropSource
from data_prep.shards.splits import assign_groups, stable_hash
from tfvqgen.data.crops import Crop
from tfvqgen.data.dataset_info import SPLITS
from tfvqgen.errors import UserError

NOT_ACCEPTED = "not accepted"
OUTSIDE = "labels outside the vocabulary"
NOT_SINGLE = "not exactly one label"
TOO_RARE = "labels rarer than min_count"


@dataclasses.dataclass(frozen=True)
class ShardOptions:
    """What the user chose.

    Attributes:
        vocabulary: The labels and their order.
        splits: Split -> share of the examples.
        label_policy: How a crop with several labels becomes records.
        min_count: Labels with fewer records are taken out of the vocabulary.
        size: Side to which crops are reduced; None keeps theirs.
        num_shards: Shards of each split (at most one an example).
        seed: Decides splits and order.
    """

    vocabulary: labels.Vocabulary
    splits: Mapping[str, float]
    label_policy: str = "multi_hot"
    min_count: int = 0
    size: int | None = None
    num_shards: int = 8
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Record:
    """A record to be: a crop and the class ids it is given."""

    crop: Crop
    class_ids: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Plan:
    """What becomes a record and what does not.

    Attributes:
        vocabulary: The labels that are left.
        records: In the table's order.
        left_out: Reason -> number of crops of which there is no record.
        outside: Label outside the vocabulary -> number of accepted crops that have it.
    """

    vocabulary: labels.Vocabulary
    records: tuple[Record, ...]
    left_out: Mapping[str, int]
    outside: Mapping[str, int]


def plan_records(source: CropSource, options: ShardOptions) -> Plan:
    """Applies vocabulary, label policy and min_count to the accepted crops.

    Raises:
        UserError: No crop is left, the policy needs ordered labels and these are not,
            or a label is probably misspelt.
    """
    if options.label_policy == "primary" and not source.labels_ordered:
        raise UserError(
            "labels have no order here: expected another label policy, since primary "
            "takes the first label (labels_ordered is false). "
            "Received: label_policy='primary'"
        )
    vocabulary, left_out = options.vocabulary, collections.Counter()
    records, outside = _apply(source.rows, vocabulary, options.label_policy, left_out)
    counts = collections.Counter(i for record in records for i in record.class_ids)
    rare = [
        label
        for class_id, label in enumerate(vocabulary.labels)
        if counts[class_id] < options.min_count
    ]
    if rare:
        vocabulary = vocabulary.without(rare)
        kept = list(_drop_labels(records, options.vocabulary, vocabulary))
        gone = {r.crop.crop_id for r in records} - {r.crop.crop_id for r in kept}
        if gone:
            left_out[TOO_RARE] = len(gone)
        records = kept
    if not records:
        why = [f"{count} {reason}" for reason, count in left_out.items()]
        raise UserError(
            f"no crop is left: expected at least one accepted crop with a label of "
            f"{options.vocabulary.name}. Received: "
            + ", ".join([f"{len(source.rows)} crops", *why])
        )
    return Plan(vocabulary, tuple(records), dict(left_out), dict(outside))


def split_records(
    records: Sequence[Record], options: ShardOptions
) -> dict[str, list[Record]]:
    """Splits by group; within a split the order is that of a hash, thus random."""
    sizes = collections.Counter(record.crop.group for record in records)
    class_ids: dict[str, set[int]] = {group: set() for group in sizes}
    for record in records:
        class_ids[record.crop.group].update(record.class_ids)
    split_of = assign_groups(sizes, class_ids, options.splits, options.seed)
    by_split: dict[str, list[Record]] = {
        split: [] for split in SPLITS if split in options.splits
    }
    for record in records:
        by_split[split_of[record.crop.group]].append(record)
    for chosen in by_split.values():
        chosen.sort(
            key=lambda r: stable_hash(
                options.seed, "order", r.crop.crop_id, *r.class_ids
            )
        )
    return by_split


def _apply(
    crops: Iterable[Crop],
    vocabulary: labels.Vocabulary,
    policy: str,
    left_out: collections.Counter,
) -> tuple[list[Record], collections.Counter]:
    records: list[Record] = []
    outside: collections.Counter = collections.Counter()
    for crop in crops:
        if not crop.accepted:
            dropped = crop.reason == DROPPED_BY_DECISION
            left_out[crop.reason if dropped else NOT_ACCEPTED] += 1
            continue
        ids = labels.resolve(crop.labels, vocabulary)
        outside.update(x for x in crop.labels if vocabulary.find(x) is None)
        made = labels.records_of(ids, policy)
        records.extend(Record(crop, tuple(class_ids)) for class_ids in made)
        if not made:
            single = policy == "single_only" and len(ids) != 1
            left_out[NOT_SINGLE if single else OUTSIDE] += 1
    return records, outside


def _drop_labels(
    records: Iterable[Record],
    before: labels.Vocabulary,
    after: labels.Vocabulary,
) -> Iterator[Record]:
    """Yields the records under their new class ids, but for those that lose all."""
    new_ids = {
        class_id: after.labels.index(label)
        for class_id, label in enumerate(before.labels)
        if label in after.labels
    }
    for record in records:
        kept = tuple(new_ids[i] for i in record.class_ids if i in new_ids)
        if kept or not record.class_ids:
            yield Record(record.crop, kept)
