"""Fidelity and diversity of generated cells under different sampling parameters.

Runs `python -m tfvqgen evaluate` on one workdir for each setting of temperature, top_p,
guidance and keep_best (the share of cells kept by the rejection classifier), all with
the same labels and seeds, and collects from each report the share of cells recognised
as what was asked for, coverage, density and the Frechet distance in the features of
each extractor. One JSON line for each setting; `--plot` draws label agreement against
coverage.

    python -m benchmarks.sampling_parameters --workdir DIR --data_dir DIR
    --settings default guidance=0.5 guidance=0.5,top_p=0.95 keep_best=0.5

Reports stay in `--reports`. A setting that has its report there is not run again.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks import case
from tfvqgen import command_line
from tfvqgen.files import read_json

DEFAULT = "default"
SETTINGS = (
    DEFAULT,
    *(f"temperature={x}" for x in (0.7, 0.85)),
    *(f"top_p={x}" for x in (0.8, 0.9, 0.95)),
    *(f"guidance={x}" for x in (0.25, 0.5, 1)),
    *(f"top_p=0.95,guidance={x}" for x in (0.25, 0.5, 1)),
    *(f"guidance=0.5,keep_best={x}" for x in (0.5, 0.25)),
)
METRICS = ("precision", "recall", "density", "coverage", "frechet")


def main() -> None:
    flags = case.parser(__doc__)
    add = flags.add_argument
    add("--workdir", required=True, help="Workdir with all stages.")
    add("--data_dir", required=True, help="Its folder of shards.")
    add("--num_samples", type=int, default=400, help="Cells a setting.")
    add("--settings", nargs="+", default=list(SETTINGS), help="Settings to compare.")
    text = "Folder of reports."
    add("--reports", type=Path, default=Path("runs/sampling"), help=text)
    add("--plot", type=Path, help="Image file for the plot.")
    args = flags.parse_args()
    lines = []
    for setting in args.settings:
        report = args.reports / setting.replace("=", "-")
        if not (report / "metrics.json").exists():
            evaluate(setting, report, args)
        line = {"case": "sampling_parameters", "setting": setting, **read(report)}
        lines.append(line)
        case.write(line, args)
    if args.plot:
        plot(lines, args.plot)


def evaluate(setting: str, report: Path, args: argparse.Namespace) -> None:
    parts = [] if setting == DEFAULT else setting.split(",")
    command = [sys.executable, "-m", "tfvqgen", "evaluate"]
    command += ["--workdir", args.workdir, "--data_dir", args.data_dir]
    command += ["--num_samples", str(args.num_samples), "--seed", str(args.seed)]
    command += ["--output", str(report), *(f"--{part}" for part in parts)]
    subprocess.run(command, check=True)


def read(report: Path) -> dict[str, Any]:
    """Returns the label agreement and the distances of a report's generated cells.

    There is no label agreement where no evaluation classifier could be trained.
    """
    generation = read_json(report / "metrics.json")["generation"]
    found = {}
    agreement = generation.get("label_agreement", {})
    if "generated" in agreement:
        found["label_agreement"] = agreement["generated"]["accuracy"]
    for name, distances in generation["distances"].items():
        generated = distances["sets"]["generated"]
        found[name] = {metric: generated[metric] for metric in METRICS}
    return found


def plot(lines: list[dict[str, Any]], path: Path) -> None:
    """Draws label agreement against coverage in the classifier's features."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.add_subplot(xlabel="coverage", ylabel="label agreement")
    for line in lines:
        if "label_agreement" not in line:
            continue
        x = line["classifier"]["coverage"]["value"]
        y = line["label_agreement"]["value"]
        axes.plot(x, y, "o")
        axes.annotate(line["setting"], (x, y))
    figure.savefig(path)


if __name__ == "__main__":
    with command_line.guard(command_line.GOES_ON):
        main()
