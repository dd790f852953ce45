"""Which groups go to which split."""

import hashlib
import math
from collections.abc import Mapping

import numpy as np

from tfvqgen.data.dataset_info import SPLITS
from tfvqgen.errors import UserError


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
    group_sizes: Mapping[str, int], shares: Mapping[str, float], seed: int
) -> dict[str, str]:
    """Assigns every group to one split.

    The groups are laid in the order of a hash of their name and the seed, and the row
    is cut where the shares of the *examples* are reached. So the sizes come out right
    even when groups are few or uneven, every split gets at least one group, and the
    result depends on nothing but names, sizes and seed. A cut moves only a little when
    groups are added, so that most groups stay where they were.

    Args:
        group_sizes: Group -> number of its examples.
        shares: Split -> share of the examples; the sum is 1.
        seed: Changes the order.

    Returns:
        Group -> split.

    Raises:
        UserError: There are fewer groups than splits.
    """
    num_groups, num_splits = len(group_sizes), len(shares)
    if num_groups < num_splits:
        raise UserError(
            "too few groups: expected at least one for each of the splits "
            f"{', '.join(shares)}, which never share a group. "
            f"Received: {num_groups} groups"
        )
    order = sorted(group_sizes, key=lambda group: stable_hash(seed, group))
    ends = np.cumsum([group_sizes[group] for group in order])
    middles = ends - np.array([group_sizes[group] for group in order]) / 2
    targets = np.cumsum(list(shares.values()))[:-1] * ends[-1]
    cuts = [0]
    for index, target in enumerate(targets):
        # A group goes to the side of the cut where its greater part lies, as far as one
        # group remains for each split.
        cut = int(np.searchsorted(middles, target))
        most = num_groups - (num_splits - 1 - index)
        cuts.append(min(max(cut, cuts[-1] + 1), most))
    cuts.append(num_groups)
    return {
        group: split
        for split, start, end in zip(shares, cuts, cuts[1:], strict=False)
        for group in order[start:end]
    }


def stable_hash(seed: int, *names: object) -> bytes:
    """Returns a hash that is the same in every process and on every machine."""
    text = "\0".join([str(seed), *map(str, names)])
    return hashlib.sha256(text.encode()).digest()
