"""Damages files that commands read: cuts them short, or flips a bit.

The case stands in the midst of the job, or at its end; the file, and where it is
damaged, are drawn from the seed, every kind of file being as likely. The command must
refuse in a sentence, or tell of the damage and go round it, or come to the same result.
With the file put back the same command must finish as if nothing had been.

Tables and settings that people edit by hand (crops.csv, train.csv, ...) cannot tell a
flipped bit from an edit: that is counted as `edited`, not as a failure.
"""

import contextlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.faults import jobs, rounds

# What each job reads, of its own and of others, with `*`.
_READ = {
    "crop": ("fields/train*", "cropped/fields/*.json", "cropped/cropping.json"),
    "shard": ("crops/crops.*", "crops/images/*"),
    "embed": (
        "pairs/crops.*",
        "pairs/images/*",
        "pairs/inpainting/config.json",
        "pairs/inpainting/metrics.jsonl",
        "pairs/inpainting/checkpoints/*",
        "pairs/features.*",
        "pairs/umap.*",
    ),
    "vqvae": (
        "shards/*",
        "workdir/*.json",
        "workdir/vqvae/metrics.jsonl",
        "workdir/vqvae/checkpoints/*",
    ),
    "codes": ("shards/*", "workdir/*.json", "workdir/vqvae/checkpoints/*"),
    **{
        level: (
            "shards/dataset.json",
            "workdir/*.json",
            "workdir/vqvae/checkpoints/*",
            "workdir/codes/*",
            f"workdir/{level}/*.json*",
            f"workdir/{level}/checkpoints/*",
        )
        for level in ("top", "bottom")
    },
    "export": ("workdir/*.json", "workdir/*/*.json", "workdir/*/checkpoints/*"),
    "sample": ("workdir/*.json", "workdir/*/*.json", "workdir/*/checkpoints/*"),
}
# Read by a job that has done part of its work, of which the last is taken away.
_LAST = {"crop": "cropped/crops.csv", "embed": "pairs/features.json"}
_EDITED = (r"crops\.(csv|json)", r"train\.csv", r"cropping\.json")


def cut(content: bytes, rng) -> tuple[bytes, int]:
    """Returns less of a file's bytes, and how much is left."""
    place = rng.randrange(len(content))
    return content[:place], place


def flip(content: bytes, rng) -> tuple[bytes, int]:
    """Returns a file's bytes with one bit the other way, and in which byte it is."""
    place = rng.randrange(len(content))
    bit = 1 << rng.randrange(8)
    return content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :], place


def strike(damage, begun: rounds.Round) -> Iterator[dict[str, Any]]:
    """Damages a file and runs the command, then once more with the file put back."""
    begun.begin(done=begun.name in (*_LAST, "vqvae", "top", "bottom"))
    _take_away_the_last(begun)
    kept = begun.folder.with_name("kept")
    shutil.copytree(begun.folder, kept)
    name = _choose(begun)
    content = (begun.folder / name).read_bytes()
    damaged, place = damage(content, begun.rng)
    (begun.folder / name).write_bytes(damaged)
    line = {"file": name, "bytes": len(content), "at": place}
    ended = begun.start().wait()
    line |= rounds.struck(ended)
    line["told"] = "warning:" in ended.output or ended.status == 2
    line["ok"] = line["outcome"] in ("finished", "refused")
    if ended.status == 0:
        # That file is not what the job leaves, unless it has written it anew.
        found = begun.world.differences(begun.name, begun.folder)
        different = [path for path in found if path != name]
        line["equal"] = not different
        if different and not line["told"]:
            edited = re.fullmatch("|".join(_EDITED), Path(name).name)
            line |= {"outcome": "edited" if edited else "unnoticed", "ok": bool(edited)}
            line["differences"] = different[:5]
    else:
        shutil.rmtree(begun.folder)
        kept.rename(begun.folder)
        end = begun.finish()
        line |= {"put_back": end, "ok": line["ok"] and end["equal"]}
    shutil.rmtree(kept, ignore_errors=True)
    yield line


def _take_away_the_last(begun: rounds.Round) -> None:
    """Leaves a job with something to do, that makes it read what there is."""
    with contextlib.suppress(KeyError):
        (begun.folder / _LAST[begun.name]).unlink()
    if begun.job.checkpoints:
        folder = begun.folder / begun.job.checkpoints
        for path in folder.glob(f"step-{begun.last_step}.*"):
            path.unlink()


def _choose(begun: rounds.Round) -> str:
    """Draws a file: first its kind, then which of them."""
    kinds: dict[str, list[str]] = {}
    for pattern in _READ[begun.name]:
        for path in sorted(begun.folder.glob(pattern)):
            name = str(path.relative_to(begun.folder))
            if path.is_file() and path.stat().st_size and path.suffix != ".png":
                kinds.setdefault(re.sub(r"\d+", "#", name), []).append(name)
            elif path.suffix == ".png":
                kinds.setdefault(pattern, []).append(name)
    return begun.rng.choice(kinds[begun.rng.choice(sorted(kinds))])


if __name__ == "__main__":
    rounds.main(
        __doc__,
        {
            "cut": lambda begun: strike(cut, begun),
            "flipped": lambda begun: strike(flip, begun),
        },
        [name for name in jobs.STRUCK if name in _READ],
    )
