"""Decides which crops become which records of which split, before images are read."""

import collections
import dataclasses
import hashlib
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np

from data_prep import labels
from data_prep.screening.decisions import DROPPED_BY_DECISION
from tfvqgen.data.crops import Crop
from tfvqgen.data.dataset_info import SPLITS
from tfvqgen.errors import UserError

NOT_ACCEPTED = "not accepted"
OUTSIDE = "labels outside the vocabulary"
NOT_SINGLE = "not exactly one label"
TOO_RARE = "labels rarer than min_count"

_UNKNOWN = -1  # The label of groups that have none.


@dataclasses.dataclass(frozen=True)
class ShardOptions:
    """The choices of the user.

    Attributes:
        vocabulary: The labels and their order.
        splits: Share of the examples by split.
        label_policy: How a crop with several labels becomes records.
        min_count: Labels with fewer records are removed from the vocabulary.
        size: Side to which crops are downsampled; None keeps theirs.
        num_shards: The number of shards of each split (at most one per example).
        seed: Random seed of splits and order.
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
    """A future record: a crop and its class ids."""

    crop: Crop
    class_ids: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Plan:
    """The records, and the crops that do not become one.

    Attributes:
        vocabulary: The labels that are left.
        records: The records in the order of the table.
        left_out: Number of crops without a record by reason.
        outside: Number of accepted crops by label outside the vocabulary.
    """

    vocabulary: labels.Vocabulary
    records: tuple[Record, ...]
    left_out: Mapping[str, int]
    outside: Mapping[str, int]


def parse_splits(text: str) -> dict[str, float]:
    """Reads e.g. ``train=0.8,validation=0.1,test=0.1``.

    Raises a UserError if a split is unknown or repeated, or if the sum is not 1.
    """
    parts = [part.partition("=") for part in text.split(",")]
    try:
        shares = {name.strip(): float(share) for name, _, share in parts}
    except ValueError:
        shares = {}
    if (
        len(shares) < len(parts)
        or not set(shares) <= set(SPLITS)
        or not all(share > 0 for share in shares.values())
        or not math.isclose(sum(shares.values()), 1, abs_tol=1e-6)
    ):
        raise UserError(
            f"wrong splits: expected shares above 0 of {', '.join(SPLITS)} that sum to "
            f"1, as train=0.8,validation=0.1,test=0.1. Received: {text!r}"
        )
    return shares


def plan_records(
    crops: Iterable[Crop], labels_ordered: bool, options: ShardOptions
) -> Plan:
    """Applies vocabulary, label policy and min_count to the accepted crops.

    Raises:
        UserError: No crop is left, the policy needs ordered labels, or a label is
            probably misspelt.
    """
    if options.label_policy == "primary" and not labels_ordered:
        raise UserError(
            "labels have no order here: expected another label policy, since primary "
            "takes the first label (labels_ordered is false). "
            "Received: label_policy='primary'"
        )
    vocabulary, left_out = options.vocabulary, collections.Counter()
    records, outside = _apply_policy(crops, options, left_out)
    counts = collections.Counter(i for record in records for i in record.class_ids)
    names = enumerate(vocabulary.labels)
    if rare := [name for index, name in names if counts[index] < options.min_count]:
        vocabulary = vocabulary.without(rare)
        kept = list(_drop_labels(records, options.vocabulary, vocabulary))
        gone = {r.crop.crop_id for r in records} - {r.crop.crop_id for r in kept}
        if gone:
            left_out[TOO_RARE] = len(gone)
        records = kept
    if not records:
        why = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
        raise UserError(
            "no crop is left: expected at least one accepted crop with a label of "
            f"{options.vocabulary.name}. Received: {why or 'no crops'}"
        )
    return Plan(vocabulary, tuple(records), dict(left_out), dict(outside))


def split_records(
    records: Sequence[Record], options: ShardOptions
) -> dict[str, list[Record]]:
    """Splits the records by group, and shuffles each split by a hash."""
    sizes = collections.Counter(record.crop.group for record in records)
    class_ids: dict[str, set[int]] = {group: set() for group in sizes}
    for record in records:
        class_ids[record.crop.group].update(record.class_ids)
    split_of = assign_groups(sizes, class_ids, options.splits, options.seed)

    def place(record: Record) -> bytes:
        names = (record.crop.crop_id, *record.class_ids)
        return stable_hash(options.seed, "order", *names)

    by_split = {split: [] for split in SPLITS if split in options.splits}
    for record in sorted(records, key=place):
        by_split[split_of[record.crop.group]].append(record)
    return by_split


def assign_groups(
    group_sizes: Mapping[str, int],
    group_labels: Mapping[str, Collection[int]],
    shares: Mapping[str, float],
    seed: int,
) -> dict[str, str]:
    """Assigns each group to a split so that each split gets its share of each label.

    Labels are processed from the rarest one (with the fewest groups) to the most
    frequent one, and groups in the order of a hash of their name and the seed:

    1. For each label with at least as many groups as there are splits, each split that
       has none of them gets the next free one, if there is one.
    2. The free groups whose rarest label it is are placed in a row, and the row is cut
       so that all splits have their shares of the *examples* so far.

    The result depends only on names, sizes, labels and seed. Each split gets at least
    one group, and a new group moves only a few others.

    Args:
        group_sizes: The number of examples of each group.
        group_labels: The class ids of each group's examples. Groups without any count
            as a label of their own.
        shares: Share of the examples of each split; the sum is 1.
        seed: Changes the order.

    Raises:
        UserError: There are fewer groups than splits.
    """
    if len(group_sizes) < len(shares):
        raise UserError(
            "too few groups: expected at least one for each of the splits "
            f"{', '.join(shares)}, which never share a group. "
            f"Received: {len(group_sizes)} groups"
        )
    order = sorted(group_sizes, key=lambda group: stable_hash(seed, group))
    with_label: dict[int, list[str]] = collections.defaultdict(list)
    for group in order:
        for label in group_labels.get(group) or [_UNKNOWN]:
            with_label[label].append(group)
    rarest_first = sorted(with_label, key=lambda label: (len(with_label[label]), label))
    assigned: dict[str, str] = {}
    for label in rarest_first:
        if len(with_label[label]) >= len(shares):
            _give_each_split_one(with_label[label], shares, assigned)
    # Each split needs a group even if no label has enough of them.
    _give_each_split_one(order, shares, assigned)
    rows = [with_label[label] for label in rarest_first]
    return _fill_up(rows, group_sizes, shares, assigned)


def stable_hash(seed: int, *names: object) -> bytes:
    """Returns a hash that is the same in every process and on every machine."""
    text = "\0".join([str(seed), *map(str, names)])
    return hashlib.sha256(text.encode()).digest()


def _apply_policy(
    crops: Iterable[Crop], options: ShardOptions, left_out: collections.Counter
) -> tuple[list[Record], collections.Counter]:
    records, outside = [], collections.Counter()
    for crop in crops:
        if not crop.accepted:
            dropped = crop.reason == DROPPED_BY_DECISION
            left_out[crop.reason if dropped else NOT_ACCEPTED] += 1
            continue
        ids = labels.resolve(crop.labels, options.vocabulary)
        outside.update(x for x in crop.labels if options.vocabulary.find(x) is None)
        made = labels.records_of(ids, options.label_policy)
        records.extend(Record(crop, tuple(class_ids)) for class_ids in made)
        if not made:
            single = options.label_policy == "single_only" and len(ids) != 1
            left_out[NOT_SINGLE if single else OUTSIDE] += 1
    return records, outside


def _drop_labels(
    records: Iterable[Record], before: labels.Vocabulary, after: labels.Vocabulary
) -> Iterator[Record]:
    """Yields the records with new class ids, except those that lose all labels."""
    for record in records:
        names = [before.labels[class_id] for class_id in record.class_ids]
        kept = tuple(after.labels.index(x) for x in names if x in after.labels)
        if kept or not names:
            yield Record(record.crop, kept)


def _give_each_split_one(
    groups: Sequence[str], shares: Mapping[str, float], assigned: dict[str, str]
) -> None:
    """Gives each split without one of these groups the next free one."""
    present = {assigned.get(group) for group in groups}
    free = [group for group in groups if group not in assigned]
    missing = [split for split in shares if split not in present]
    assigned.update(zip(free, missing, strict=False))


def _fill_up(
    rows: Sequence[Sequence[str]],
    group_sizes: Mapping[str, int],
    shares: Mapping[str, float],
    assigned: dict[str, str],
) -> dict[str, str]:
    """Assigns the free groups of each row; a group counts in its first row only."""
    dealt: collections.Counter = collections.Counter()
    seen: set[str] = set()
    for row in rows:
        row = [group for group in row if group not in seen]
        seen.update(row)
        free = {group: group_sizes[group] for group in row if group not in assigned}
        for group in set(row).difference(free):
            dealt[assigned[group]] += group_sizes[group]
        for group, split in _cut(free, shares, dealt).items():
            assigned[group] = split
            dealt[split] += group_sizes[group]
    return assigned


def _cut(
    row: Mapping[str, int], shares: Mapping[str, float], dealt: Mapping[str, int]
) -> dict[str, str]:
    """Cuts a row of groups so that each split has its share of all examples so far."""
    if not row:
        return {}
    ends = np.cumsum(list(row.values()))
    total = ends[-1] + sum(dealt.values())
    wanted = [max(0.0, share * total - dealt[split]) for split, share in shares.items()]
    cuts = np.cumsum(wanted)[:-1] * (ends[-1] / sum(wanted))
    # A group goes to the side of the cut where its larger part is.
    middles = ends - np.array(list(row.values())) / 2
    places = np.searchsorted(cuts, middles, side="right")
    splits = list(shares)
    return {group: splits[k] for group, k in zip(row, places, strict=True)}
