"""Which groups go to which split."""

import collections
import hashlib
import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from tfvqgen.data.dataset_info import SPLITS
from tfvqgen.errors import UserError

UNKNOWN = -1  # stands for the label of groups that have none


def parse_splits(text: str) -> dict[str, float]:
    """Reads e.g. ``train=0.8,validation=0.1,test=0.1``.

    Raises:
        UserError: A split is unknown or named twice, or the shares do not sum to 1.
    """

    def refuse() -> UserError:
        return UserError(
            f"wrong splits: expected shares above 0 of {', '.join(SPLITS)} that sum to "
            f"1, as train=0.8,validation=0.1,test=0.1. Received: {text!r}"
        )

    shares: dict[str, float] = {}
    for part in text.split(","):
        name, _, share = part.partition("=")
        name = name.strip()
        if name not in SPLITS or name in shares:
            raise refuse()
        try:
            shares[name] = float(share)
        except ValueError:
            raise refuse() from None
        if not 0 < shares[name] <= 1:
            raise refuse()
    if not math.isclose(sum(shares.values()), 1, abs_tol=1e-6):
        raise refuse()
    return shares


def assign_groups(
    group_sizes: Mapping[str, int],
    group_labels: Mapping[str, Collection[int]],
    shares: Mapping[str, float],
    seed: int,
) -> dict[str, str]:
    """Assigns every group to one split, so that each split has its share of each label.

    Labels are dealt with from the rarest on (the one with the fewest groups), groups in
    the order of a hash of their name and the seed:

    1. Every label with at least as many groups as there are splits gives each split
       that has none of it yet its next free group. (Where all groups with a label were
       needed for rarer ones, it may still miss somewhere.)
    2. The free groups of which the label is the rarest are laid in a row, and the row
       is cut where all splits have their shares of the *examples* dealt with so far.

    The result depends on nothing but names, sizes, labels and seed. Every split gets at
    least one group, and a new group moves only a few others. Where groups are few, the
    first rule goes before the shares.

    Args:
        group_sizes: Group -> number of its examples.
        group_labels: Group -> class ids that its examples have; none: unknown, which
            is a kind of its own here.
        shares: Split -> share of the examples; the sum is 1.
        seed: Changes the order.

    Returns:
        Group -> split.

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
        for label in group_labels.get(group) or [UNKNOWN]:
            with_label[label].append(group)
    rarest_first = sorted(with_label, key=lambda label: (len(with_label[label]), label))
    assigned: dict[str, str] = {}
    for label in rarest_first:
        if len(with_label[label]) >= len(shares):
            _give_each_split_one(with_label[label], shares, assigned)
    # If there are groups enough, but of no label, this is what gives each split one.
    _give_each_split_one(order, shares, assigned)
    rows = [with_label[label] for label in rarest_first]
    return _fill_up(rows, group_sizes, shares, assigned)


def _give_each_split_one(
    groups: Sequence[str], shares: Mapping[str, float], assigned: dict[str, str]
) -> None:
    """Gives each split without one of these groups the next free one."""
    present = {assigned[group] for group in groups if group in assigned}
    free = (group for group in groups if group not in assigned)
    missing = [split for split in shares if split not in present]
    assigned.update(dict(zip(list(free), missing, strict=False)))


def _fill_up(
    rows: Sequence[Sequence[str]],
    group_sizes: Mapping[str, int],
    shares: Mapping[str, float],
    assigned: Mapping[str, str],
) -> dict[str, str]:
    """Assigns the free groups of each row; a group counts in its first row only."""
    assigned = dict(assigned)
    dealt: collections.Counter = collections.Counter()
    seen: set[str] = set()
    for row in rows:
        row = [group for group in row if group not in seen]
        seen.update(row)
        free = {group: group_sizes[group] for group in row if group not in assigned}
        for group in row:
            if group not in free:
                dealt[assigned[group]] += group_sizes[group]
        for group, split in _cut(free, shares, dealt).items():
            assigned[group] = split
            dealt[split] += group_sizes[group]
    return assigned


def _cut(
    row: Mapping[str, int], shares: Mapping[str, float], dealt: Mapping[str, int]
) -> dict[str, str]:
    """Cuts a row of groups so that what was dealt comes to the shares with them."""
    if not row:
        return {}
    ends = np.cumsum(list(row.values()))
    total = ends[-1] + sum(dealt.values())
    wanted = [max(0.0, share * total - dealt[split]) for split, share in shares.items()]
    cuts = np.cumsum(wanted)[:-1] * (ends[-1] / sum(wanted))
    # A group goes to the side of the cut where its greater part lies.
    middles = ends - np.array(list(row.values())) / 2
    places = np.searchsorted(cuts, middles, side="right")
    splits = list(shares)
    return {group: splits[k] for group, k in zip(row, places, strict=True)}


def stable_hash(seed: int, *names: object) -> bytes:
    """Returns a hash that is the same in every process and on every machine."""
    text = "\0".join([str(seed), *map(str, names)])
    return hashlib.sha256(text.encode()).digest()
