"""How fast the review page opens and moves with many crops, in Chromium without window.

Crops of no meaning (random clusters, labels, quality) are written as `python -m
data_prep screen` writes them, with as many sheets of thumbnails, each a JPEG of smooth
noise of a size as of real crops. The page is opened as a file; the map is dragged with
the mouse for some seconds, whole and enlarged, while every frame is timed; then the
mouse rests on crops of all clusters in turn, each of another sheet. One JSON line; its
memory is that of all of the browser's processes.
"""

import argparse
import contextlib
import io
import re
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import case
from tfvqgen import command_line

LABELS = 24


def main() -> None:
    flags = case.parser(__doc__)
    flags.add_argument("--crops", type=int, default=157_000, help="how many")
    flags.add_argument("--clusters", type=int, default=300, help="how many")
    flags.add_argument("--drags", type=int, default=150, help="mouse events a drag")
    flags.add_argument("--rests", type=int, default=60, help="of the mouse on crops")
    flags.add_argument("--screenshot", type=Path, help="a PNG of the opened page")
    args = flags.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        page = write_crops(Path(folder), args)
        case.write(measure(page, Path(folder) / "profile", args), args.output)


def write_crops(folder: Path, args: argparse.Namespace) -> Path:
    """Writes the page of random crops; returns its path."""
    from PIL import Image

    from data_prep.screening import suggestions
    from data_prep.screening.decisions import Stamp
    from data_prep.screening.review import page_files, sprites
    from tfvqgen.data.crops import Crop

    rng = np.random.default_rng(args.seed)
    n = args.crops
    clusters = np.sort(rng.integers(args.clusters, size=n)).astype(np.int32)
    centres = rng.normal(size=(args.clusters, 2))
    positions = centres[clusters] + 0.06 * rng.normal(size=(n, 2))
    quality = rng.normal(size=(n, len(suggestions.QUALITY_COLUMNS)))
    crops = [
        Crop(
            crop_id=f"plate{i // 400:04d}_{i:06d}",
            path=f"images/{i}.png",
            labels=(f"localization {rng.integers(LABELS)}",),
            group=f"group {i // 15}",
            metadata=dict(
                zip(suggestions.QUALITY_COLUMNS, map(str, quality[i]), strict=True)
            ),
        )
        for i in range(n)
    ]
    kinds = rng.random((n, len(suggestions.KINDS))) < 0.02
    reasons = tuple("far from all others" if any(k) else "" for k in kinds)
    digits = rng.bytes(32 * n).hex()
    shown = page_files.Shown(
        crops=crops,
        hashes=[digits[64 * i : 64 * i + 64] for i in range(n)],
        positions=positions,
        clusters=clusters,
        suggested=suggestions.Suggestions(kinds, reasons, frozenset({3, 5})),
        stamp=Stamp("f" * 16, "model", "c" * 16),
        credit="random numbers",
    )
    side = sprites.TILE * sprites.TILES_A_SIDE
    (folder / "sprites").mkdir()
    coarse = Image.fromarray(rng.integers(0, 160, (side // 4, side // 4, 3), np.uint8))
    file = io.BytesIO()
    coarse.resize((side, side), Image.Resampling.BICUBIC).save(file, "JPEG", quality=80)
    sheets = [f"{number}.jpg" for number in range(-(-n // sprites.PER_SHEET))]
    for name in sheets:
        (folder / "sprites" / name).write_bytes(file.getvalue())
    return page_files.write_page(folder, shown, sheets)


def measure(page: Path, profile: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Opens the page, drags its map, and returns the case."""
    from tests.browser import browser, find_chromium

    with browser(find_chromium(), profile) as opened:
        started = time.monotonic()
        opened.open(page.resolve().as_uri(), 1600, 1000)
        opened.wait("document.readyState === 'complete' && firstDrawn")
        first = opened.run("firstDrawn") / 1000
        opened.wait("names !== null")
        named = time.monotonic() - started
        if args.screenshot:
            time.sleep(1)
            opened.screenshot(args.screenshot)
        whole = frame_times(opened, args.drags)
        opened.run("zoomAt(4)")
        enlarged = frame_times(opened, args.drags)
        opened.run("var t0 = performance.now(); drawDots(); drawDots(); drawDots()")
        draw = opened.run("(performance.now() - t0) / 3")
        before = memory(profile)
        rests = [rest(opened, number) for number in range(args.rests)]
        after = memory(profile)
        problems = opened.problems
    if problems:
        raise SystemExit(f"the page has problems: {problems[:3]}")
    scripts = sum(path.stat().st_size for path in page.parent.glob("*.js"))
    sheets = sum(path.stat().st_size for path in page.parent.glob("sprites/*"))
    return {
        "case": "review_page",
        "crops": args.crops,
        "clusters": args.clusters,
        "first_drawn_seconds": round(first, 2),
        "all_loaded_seconds": round(named, 2),
        **frames("whole", whole),
        **frames("enlarged", enlarged),
        "draw_milliseconds": round(draw, 1),
        "thumbnail_milliseconds_median": round(float(np.median(rests)), 1),
        "thumbnail_milliseconds_p95": round(float(np.quantile(rests, 0.95)), 1),
        "browser_gigabytes": round(before, 2),
        "browser_gigabytes_after_thumbnails": round(after, 2),
        "megabytes": round(scripts / 1e6, 1),
        "sheet_megabytes": round(sheets / 1e6, 1),
        "seed": args.seed,
    }


def rest(opened: Any, number: int) -> float:
    """Shows the thumbnail of a crop of another sheet; returns the milliseconds."""
    return opened.run(
        "new Promise((done) => {"
        f" const i = Math.min(N - 1, {number} * 37 % DATA.sheets.length * PER_SHEET);"
        " const canvas = $('tip').firstChild, from = performance.now();"
        " canvas.dataset.painted = ''; drawTile(canvas, i);"
        " (function look() {"
        " if (canvas.dataset.painted === String(i)) done(performance.now() - from);"
        " else setTimeout(look, 1); })() })"
    )


def memory(profile: Path) -> float:
    """Returns the memory of the processes of a profile, shared parts divided, in GB."""
    kilobytes = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(profile).encode() in (folder / "cmdline").read_bytes():
                rollup = (folder / "smaps_rollup").read_text()
                kilobytes += int(re.search(r"^Pss: *(\d+)", rollup, re.M)[1])
    return kilobytes / 2**20


def frames(name: str, milliseconds: np.ndarray) -> dict[str, Any]:
    """Returns what is said of the frames of one drag."""
    return {
        f"{name}_frames": len(milliseconds),
        f"{name}_share_under_50_ms": round(float((milliseconds < 50).mean()), 3),
        f"{name}_p95_ms": round(float(np.quantile(milliseconds, 0.95)), 1),
    }


def frame_times(opened: Any, count: int) -> np.ndarray:
    """Drags the map in a circle; returns the milliseconds between frames, [n]."""
    opened.run(
        "var times = [], timing = true; requestAnimationFrame(function step(now) {"
        " times.push(now); if (timing) requestAnimationFrame(step); }); 0"
    )
    x, y = opened.run(
        "(() => { const b = $('scatter').getBoundingClientRect();"
        " return [b.left + b.width / 2, b.top + b.height / 2] })()"
    )
    event, button = "Input.dispatchMouseEvent", {"button": "left", "clickCount": 1}
    opened.call(event, type="mousePressed", x=x, y=y, **button)
    for step in range(count):
        angle = 2 * np.pi * step / 60
        opened.call(
            event,
            type="mouseMoved",
            x=x + 150 * np.sin(angle),
            y=y + 150 * (np.cos(angle) - 1),
            button="left",
            buttons=1,
        )
    opened.call(event, type="mouseReleased", x=x, y=y, **button)
    return np.diff(opened.run("timing = false, times"))


if __name__ == "__main__":
    with command_line.guard():
        main()
