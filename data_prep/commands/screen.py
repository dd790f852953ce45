"""Shows all crops by similarity, so that a person can keep or drop them.

After `embed`, the command writes review/index.html beside crops.csv: a page that a
browser opens as a file, with a UMAP of all crops, their clusters, and suggestions of
crops to drop. Decide on the page with mouse or keyboard and download decisions.csv, or
write keep or drop into review/clusters.csv. review/suggestions.csv contains the crops
that the program suggests to drop.

With --apply FILE [FILE ...] the decisions of these files are written to
review/decisions.csv, which `shard --decisions` reads, and the remaining crops of each
label and group to review/dropped.csv. Decisions about other crops, features or clusters
are refused.
"""

import collections

from data_prep.commands import require_limits
from tfvqgen.command_line import GOES_ON, import_tensorflow

INTERRUPTED = GOES_ON
_MOST_CLUSTERS = 2000


def add_flags(parser) -> None:
    """Adds the flags of this command."""
    add = parser.add_argument
    add("--crops", required=True, help="Folder with crops.csv.")
    add(
        "--clusters",
        type=int,
        help=f"Number of clusters, from 2 to {_MOST_CLUSTERS}. Defaults to that of the "
        "existing clusters, else to half the square root of the number of crops.",
    )
    text = "Random seed of clusters and UMAP. Defaults to that of umap.csv, else 0."
    add("--seed", type=int, help=text)
    text = "Make new clusters even if clusters.csv has decisions about the old ones."
    add("--overwrite", action="store_true", help=text)
    text = "Decisions: decisions.csv of the page, clusters.csv or suggestions.csv."
    add("--apply", nargs="+", metavar="FILE", help=text)


def run(args) -> None:
    """Runs the command."""
    from tfvqgen.errors import UserError

    require_limits(args, {"clusters": (2, _MOST_CLUSTERS), "seed": (0, 2**32 - 1)})
    if args.apply and (args.clusters is not None or args.seed is not None):
        raise UserError(
            "decisions are about the clusters that are there: expected --apply without "
            "--clusters and --seed. Received: both"
        )
    import_tensorflow()
    from data_prep.screening import screening

    if args.apply:
        _apply(screening, screening.open_decided(args.crops), args.apply)
        return
    opened = screening.open_screening(
        args.crops, args.clusters, args.seed, overwrite=args.overwrite
    )
    page, found = screening.make_review(opened)
    _tell(opened, found)
    print(f"clusters: {page.parent / screening.CLUSTERS}")
    print(f"review page: {page}")


def _tell(opened, found) -> None:
    from data_prep.screening import suggestions

    accepted = [i for i, crop in enumerate(opened.crops) if crop.accepted]
    total, clusters = len(opened.crops), len(set(opened.table.clusters.tolist()))
    print(f"{total} crops in {clusters} clusters, {len(accepted)} accepted; of these")
    sums = found.kinds[accepted].sum(axis=0).tolist()
    counts = dict(zip(suggestions.KINDS, sums, strict=True))
    counts["to drop"] = int(found.drop[accepted].sum())
    for kind, count in counts.items():
        print(f"{kind:<14}{count:>8}  {count / max(len(accepted), 1):6.1%}")
    print(f"{'as a whole':<14}{len(found.clusters):>8}  clusters")


def _apply(screening, opened, paths) -> None:
    from data_prep.screening import decisions, screening_tables

    made = screening.apply_decisions(opened, paths)
    words = collections.Counter(decision.decision for decision in made)
    print(", ".join(f"{word} {words[word]}" for word in decisions.DECISIONS))
    tables = screening.count_crops(opened, made)
    everything = {crop.crop_id: ("all crops",) for crop in opened.crops}
    overall = screening_tables.count(made, everything)
    rows = {**tables["label"], **overall}
    width = max(map(len, rows))
    print(f"{'label':<{width}}   crops  not accepted  dropped    left    lost")
    usual = overall["all crops"].lost
    for name, found in rows.items():
        # Half more than usual, and not by chance in a label of a few crops.
        excess = found.lost * found.crops - usual * found.crops
        note = "  more than usual" if excess > max(usual * found.crops / 2, 3) else ""
        print(
            f"{name:<{width}} {found.crops:7} {found.not_accepted:13} "
            f"{found.dropped:8} {found.left:7} {found.lost:7.1%}{note}"
        )
    gone = sum(not found.left for found in tables["group"].values())
    print(f"groups: {len(tables['group'])}, of which {gone} have no crop left")
    review = opened.folder.folder / screening.REVIEW
    print(f"by label and group: {review / screening.DROPPED}")
    print(f"decisions: {review / decisions.FILE_NAME}")
