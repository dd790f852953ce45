"""How ways of drawing cells trade fidelity for diversity.

Draws cells in each of many ways from the models of a workdir and measures all of them
against the same real crops, so that temperature, top_p, guidance and rejection can be
chosen by figures:

    python -m benchmarks.drawing --workdir DIR --data_dir DIR --num_samples 400
    --output cases.jsonl --plot sweep.png

`--settings plain temperature=0.8,guidance=0.5` names fewer ways or others; what is not
named is off. keep_best is the share of the drawn cells that a localization classifier
lets pass. The judge is another one; both have learnt from crops of which the generator
has learnt nothing, and are trained in the workdir if `evaluate` has not done so.

Each setting is asked for the same labels, those of crops of `--split`, every label in
its turn, with the same seeds: cells differ by the setting alone. A JSON line for each
setting, for the reconstructions of other real crops (the ceiling: the decoder can do no
better) and for these crops themselves (the floor of every distance), all as `evaluate`
measures them:

label_agreement  share of cells whose most likely label, by the judge, was asked for
precision, density    how many cells are where real crops are, in features' space
recall, coverage      how many real crops have cells near
frechet               Fréchet distance; falls with the number of cells: compare equal n

with 95 % intervals over drawings of cells, in the features of each extractor. `n` cells
are compared: no more than the split has crops.

Recommended is, by coverage and distance in the features of one extractor: among the
settings whose coverage is at least 0.9 of the best coverage, the one of the highest
label agreement; of equal ones that of the smallest Fréchet distance. Where rejection,
which costs work, is recommended, the best setting without it is named too.

Cells stay in `--cells` until you remove them, each setting's by its name. The same
command goes on where it was interrupted: a setting that has its line in `--output` is
neither drawn nor measured again.
"""

import argparse
import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import case, drawing_plot
from benchmarks.drawing_grid import DEFAULT, KEEP_BEST, Setting, read_settings
from tfvqgen import command_line
from tfvqgen.errors import DataError, UserError
from tfvqgen.evaluation.settings import Settings, classifier_config
from tfvqgen.files import exclusive

CASE = "drawing"
EXTRACTORS = ("classifier", "random")
# What is enough of the best coverage.
ENOUGH = 0.9

Case = dict[str, Any]


def main() -> None:
    args = _flags().parse_args()
    wanted = read_settings(args.settings or DEFAULT)
    asked = _settings(wanted, args)
    if args.plot is not None:
        drawing_plot.require_plot(args.plot)
    case.import_tensorflow(args.threads)
    with exclusive(asked.folder, "the folder of cells"):
        cases = sweep(wanted, asked, args.output)
    drawn = [found for found in cases if KEEP_BEST in found]
    if args.plot is not None:
        extractor = args.extractors[0]
        best = recommended(drawn, extractor)
        drawing_plot.plot(wanted, cases, extractor, best["name"], args.plot)
    for extractor in args.extractors:
        print(recommendation(drawn, extractor))


def sweep(
    wanted: Sequence[Setting], asked: Settings, output: Path | None
) -> list[Case]:
    """Returns the cases of ceiling, floor and all settings, and writes new ones.

    Args:
        wanted: Settings.
        asked: What is asked for besides them.
        output: A file with cases that are not measured again, and that new ones are
            added to.
    """
    from tqdm import tqdm

    from benchmarks.drawing_measures import Bench

    before = read_cases(output)
    bench = Bench(asked)
    about = {"case": CASE, **bench.origin}

    def measured(names: Case, images: Callable[[], Any]) -> Case:
        found = known(before, about | names, asked.extractors)
        if found is None:
            found = about | names | bench.measure(images())
            case.write(found, output)
        return found

    cases = [
        measured({"name": name}, lambda images=images: images)
        for name, images in bench.marks.items()
    ]
    settings = {setting: {"name": setting.name, **setting.values} for setting in wanted}
    passes = {
        setting: bench.passes(setting)
        for setting, names in settings.items()
        if known(before, about | names, asked.extractors) is None
    }
    total = sum(passes.values())
    with tqdm(desc="all settings", total=total, unit="pass") as progress:
        for setting, names in settings.items():
            images = functools.partial(bench.draw, setting)
            cases.append(measured(names, images))
            progress.update(passes.get(setting, 0))
    return cases


def read_cases(path: Path | None) -> list[Case]:
    """Returns the cases of a file that may be missing.

    Raises:
        DataError: A line is no case.
    """
    if path is None or not path.exists():
        return []
    cases = []
    for line, text in enumerate(path.read_text("utf-8").splitlines(), start=1):
        try:
            found = json.loads(text)
        except json.JSONDecodeError:
            found = None
        if not isinstance(found, dict):
            raise DataError(
                "cannot go on after damaged cases: expected a JSON object a line. "
                f"Received: {path}, line {line}"
            )
        cases.append(found)
    return cases


def known(cases: Sequence[Case], names: Case, extractors: Sequence[str]) -> Case | None:
    """Returns the case that was measured of the same, if there is one.

    Args:
        cases: To look through.
        names: All that tells a case from others.
        extractors: In whose features it must have been measured.
    """
    for found in cases:
        same = all(found.get(name) == value for name, value in names.items())
        if same and found.get("features", {}).keys() >= set(extractors):
            return found
    return None


def recommended(cases: Sequence[Case], extractor: str) -> Case:
    """Returns the case that the rule above recommends.

    Args:
        cases: Of settings; at least one.
        extractor: In whose features coverage and distance are.
    """

    def value(found: Case, name: str) -> float:
        return found["features"][extractor][name]["value"]

    least = ENOUGH * max(value(found, "coverage") for found in cases)
    enough = [found for found in cases if value(found, "coverage") >= least]
    return max(
        enough,
        key=lambda x: (x["label_agreement"]["value"], -value(x, "frechet")),
    )


def recommendation(cases: Sequence[Case], extractor: str) -> str:
    """Returns the rule's outcome as a sentence for people."""
    best = recommended(cases, extractor)
    text = f"recommended by {extractor} features: {_described(best, extractor)}"
    others = [found for found in cases if found[KEEP_BEST] == 1]
    if best[KEEP_BEST] < 1 and others:
        other = _described(recommended(others, extractor), extractor)
        text += f"; without rejection, which costs work: {other}"
    return text


def _described(found: Case, extractor: str) -> str:
    figures = found["features"][extractor]
    return (
        f"{found['name']} (label agreement {found['label_agreement']['value']:.3f}, "
        f"coverage {figures['coverage']['value']:.3f}, "
        f"Fréchet distance {figures['frechet']['value']:.4g})"
    )


def _settings(wanted: Sequence[Setting], args: argparse.Namespace) -> Settings:
    """Returns what is asked for besides how cells are drawn.

    Raises:
        UserError: Something is out of range, in the settings too.
    """
    if args.output is not None and not args.output.parent.is_dir():
        raise UserError(
            "nowhere to write cases: expected a folder that is there. "
            f"Received: output={args.output}"
        )
    cells = args.cells or Path(args.workdir) / "drawing"
    made = [
        Settings(
            workdir=args.workdir,
            data_dir=args.data_dir,
            split=args.split,
            num_samples=args.num_samples,
            seed=args.seed,
            keep_best=keep_best,
            extractors=tuple(args.extractors),
            classifier=classifier_config(args.classifier_steps),
            output=cells,
        )
        for keep_best in (1.0, *(setting.keep_best for setting in wanted))
    ]
    return made[0]


def _flags() -> argparse.ArgumentParser:
    flags = case.parser(__doc__)
    flags.add_argument("--workdir", required=True, help="with all stages trained")
    flags.add_argument("--data_dir", required=True, help="the shards it learnt from")
    flags.add_argument("--split", default="test", help="whose crops to measure against")
    flags.add_argument("--num_samples", type=int, default=400, help="cells a setting")
    flags.add_argument(
        "--settings",
        nargs="+",
        metavar="KNOB=NUMBER,KNOB=NUMBER",
        help=f"ways to draw cells (if not given: {' '.join(DEFAULT)})",
    )
    flags.add_argument(
        "--extractors",
        nargs="+",
        choices=EXTRACTORS,
        default=list(EXTRACTORS),
        help="of features; the plot is by the first",
    )
    flags.add_argument("--classifier_steps", type=int, help="of the judge's training")
    flags.add_argument("--cells", type=Path, help="a folder (<workdir>/drawing)")
    flags.add_argument("--plot", type=Path, help="a picture to draw, such as sweep.png")
    return flags


if __name__ == "__main__":
    with command_line.guard(command_line.GOES_ON):
        main()
