"""Which of several autoencoders makes better cells: an A/B comparison.

Every configuration is trained on the same shards for the same steps, once a seed, and
measured on the same crops of the validation split, which it has not seen. For each one
a JSON line; then one for each against the first, and a table.

    python -m benchmarks.quality --fields FOLDER --steps 500 --seeds 0 1 --a --b
    laplacian_weight=0.5 adversarial_weight=0.3

`--configs` names them and takes more than two: `--configs plain: sharp:hidden=64`.
Crops come from shards (`--data_dir`), from fields in the layout of the Kaggle 2018 data
(`--fields`, cut and split as `benchmarks.reconstruction` does) or are drawn
(`--synthetic`). With `--keep` what is trained stays, and the same command goes on with
it. Fréchet distances are between reconstructions and their originals, in the features
of a random network and of a localization classifier that has learnt from the split
`test`, or from `train` where there is none.

Intervals are of 95 % over drawings of crops, after the mean over seeds: they say
nothing of other seeds, for which there are the lines of each.
"""

import argparse
import contextlib
import itertools
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks import case, quality_data
from benchmarks.reconstruction_measures import BATCH_SIZE
from tfvqgen import command_line
from tfvqgen.errors import UserError

EXTRACTORS = ("random", "classifier")
SECTION = "vqvae"


def main() -> None:
    args = _flags().parse_args()
    configs = read_configs(args)
    case.import_tensorflow(args.threads)
    with _folder(args.keep) as folder:
        data = quality_data.shards(args, folder)
        compare(data, folder, configs, args)


def read_configs(args: argparse.Namespace) -> dict[str, list[str]]:
    """Returns the configurations' overrides by name, the first being compared with.

    Raises:
        UserError: There are fewer than two, or one cannot be read.
    """
    given = {"a": args.a, "b": args.b} if not args.configs else {}
    for text in args.configs or ():
        name, colon, overrides = text.partition(":")
        if not re.fullmatch(r"[\w.-]+", name) or not colon or name in given:
            raise UserError(
                "cannot read a configuration: expected NAME:KEY=VALUE,KEY=VALUE with "
                f"a name of its own. Received: {text!r}"
            )
        # Values may have commas themselves.
        given[name] = [x for x in re.split(r",(?=[\w.]+=)", overrides) if x]
    if len(given) < 2 or None in given.values():
        raise UserError(
            "nothing to compare: expected --a and --b, or two --configs. "
            f"Received: {', '.join(given) if args.configs else 'neither'}"
        )
    return {name: [_in_section(x) for x in given[name]] for name in given}


def compare(
    data: Path, folder: Path, configs: Mapping[str, list[str]], args: argparse.Namespace
) -> None:
    """Trains and measures all configurations and writes the cases."""
    from benchmarks import quality_measures as measures
    from tfvqgen.data import schema

    dataset = schema.open_dataset(data)
    crops = measures.held_out_crops(dataset.split("validation"), args.crops)
    extractors = list(_extractors(dataset, folder, args))
    originals = measures.features(extractors, crops)
    about = {
        "crops": len(crops),
        "channels": dataset.info.channels,
        "steps": args.steps,
        "seeds": args.seeds,
        "preset": args.preset,
        "threads": args.threads,
    }
    measured: dict[str, list[measures.Measured]] = {name: [] for name in configs}
    # Seed by seed, so that an early end has something to compare.
    for seed, (name, overrides) in itertools.product(args.seeds, configs.items()):
        workdir = folder / f"{name}-{seed}"
        _train(data, workdir, overrides, seed, args)
        found = measures.measure(workdir, crops, extractors, originals)
        measured[name].append(found)
        figures = {"name": name, "seed": seed, **measures.figures([found])}
        case.write({"case": "quality_of_seed", **figures}, args.output)
    figures = {name: measures.figures(found) for name, found in measured.items()}
    for name, overrides in configs.items():
        done = {"case": "quality", "name": name, "set": overrides}
        case.write({**done, **figures[name], **about}, args.output)
    first, *others = configs
    for name in others:
        ratios = measures.ratios(measured[name], measured[first])
        done = {"case": "quality_ratio", "name": name, "against": first, **ratios}
        case.write({**done, **about}, args.output)
    print(measures.table(figures))


def _train(
    data: Path, workdir: Path, overrides: list[str], seed: int, args: argparse.Namespace
) -> None:
    from tfvqgen.data import schema
    from tfvqgen.training.train import train

    shape = schema.open_dataset(data).info.image_shape
    overrides = [
        f"{SECTION}.image_shape={','.join(map(str, shape))}",
        f"{SECTION}.batch_size={BATCH_SIZE}",
        f"{SECTION}.validate_every={args.steps}",
        f"{SECTION}.log_every={min(50, args.steps)}",
        *overrides,
    ]
    # What it prints is for people; here lines are cases.
    with contextlib.redirect_stdout(sys.stderr):
        train(
            data_dir=data,
            workdir=workdir,
            preset=args.preset,
            stage=SECTION,
            overrides=overrides,
            steps=args.steps,
            seed=seed,
            strategy="one_device",
        )


def _extractors(dataset, folder: Path, args: argparse.Namespace) -> Iterator[Any]:
    from tfvqgen.evaluation.extractors.random_network import RandomNetwork

    for name in args.extractors:
        if name == "random":
            yield RandomNetwork(dataset.info.image_shape[-1])
            continue
        from tfvqgen.evaluation.classifier.training import train_classifier
        from tfvqgen.training.stages.classifier import ClassifierConfig

        learnt_from = "test" if "test" in dataset.info.splits else "train"
        config = ClassifierConfig(
            steps=args.classifier_steps, validate_every=args.classifier_steps
        )
        yield train_classifier(
            dataset.split(learnt_from),
            dataset.split("validation"),
            folder,
            what="quality",
            config=config,
        )


def _in_section(override: str) -> str:
    key = override.partition("=")[0]
    return override if "." in key else f"{SECTION}.{override}"


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)


def _flags() -> argparse.ArgumentParser:
    flags = case.parser(__doc__)
    source = flags.add_mutually_exclusive_group(required=True)
    source.add_argument("--data_dir", type=Path, help="shards")
    source.add_argument("--fields", type=Path, help="fields to cut crops from")
    source.add_argument("--synthetic", type=int, metavar="N", help="draw N crops")
    overrides = {"nargs": "*", "metavar": "KEY=VALUE"}
    flags.add_argument("--a", **overrides, help="keys of the first configuration")
    flags.add_argument("--b", **overrides, help="keys of the second")
    flags.add_argument("--configs", nargs="+", metavar="NAME:KEY=VALUE,KEY=VALUE")
    flags.add_argument("--preset", default="hpa128", help="what keys are changed of")
    flags.add_argument("--steps", type=int, default=500)
    flags.add_argument("--seeds", type=int, nargs="+", default=[0], help="of training")
    flags.add_argument("--crops", type=int, default=2000, help="measured at most")
    flags.add_argument(
        "--extractors", nargs="*", choices=EXTRACTORS, default=list(EXTRACTORS)
    )
    flags.add_argument("--classifier_steps", type=int, default=600)
    flags.add_argument("--keep", type=Path, help="folder for shards and workdirs")
    return flags


if __name__ == "__main__":
    with command_line.guard():
        main()
