"""What decisions leave of each label and each group, so that selection bias is seen."""

import collections
import dataclasses
from collections.abc import Mapping, Sequence

from data_prep.screening.decisions import DROP, KEEP, Decision


@dataclasses.dataclass(frozen=True)
class Counts:
    """What becomes of the crops of one label or group.

    Attributes:
        crops: All of them.
        not_accepted: By their table, which was not overruled.
        dropped: Accepted by their table, and dropped.
        taken_in: Not accepted by their table, and kept one by one.
    """

    crops: int = 0
    not_accepted: int = 0
    dropped: int = 0
    taken_in: int = 0

    @property
    def left(self) -> int:
        """Those that go into shards."""
        return self.crops - self.not_accepted - self.dropped

    @property
    def lost(self) -> float:
        """The share that does not."""
        return 1 - self.left / self.crops


def count(
    decisions: Sequence[Decision], names: Mapping[str, Sequence[str]]
) -> dict[str, Counts]:
    """Counts what becomes of crops by name, sorted by name.

    Args:
        decisions: One a crop.
        names: crop_id -> the names it counts to, e.g. its labels.
    """
    found: dict[str, list[int]] = collections.defaultdict(lambda: [0, 0, 0, 0])
    for made in decisions:
        kept, accepted = made.decision == KEEP, made.crop.accepted
        adds = (
            1,
            not accepted and not kept,
            accepted and made.decision == DROP,
            not accepted and kept,
        )
        for name in names[made.crop.crop_id]:
            found[name] = [a + b for a, b in zip(found[name], adds, strict=True)]
    return {name: Counts(*found[name]) for name in sorted(found)}
