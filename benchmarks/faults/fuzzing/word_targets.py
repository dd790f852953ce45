"""What people type: flags, overrides, labels, vocabularies, limits."""

import random
from collections.abc import Callable
from pathlib import Path

from benchmarks.faults.fuzzing.judging import Inputs
from benchmarks.faults.fuzzing.mutation import mutated_text, odd_word

_LABELS = ("Nucleoli", "nucleoli", "Golgi apparatus", "Nucleoli|Cytosol", "any")


class _Overrides:
    """``--set`` of train.py."""

    def __init__(self, folder: Path):
        from tfvqgen.config import Config
        from tfvqgen.presets import PRESETS

        del folder
        self._presets = list(PRESETS)
        config = Config().to_json()
        self._keys = tuple(
            f"{section}.{key}"
            for section, keys in config.items()
            if isinstance(keys, dict)
            for key in keys
        )
        self._values = ("1", "16", "0.5", "true", "ema", "64,64,4", "(1, 2)")

    def draw(self, rng: random.Random) -> Callable[[], object]:
        """Makes one to three overrides of a preset."""
        from tfvqgen.config import Config

        preset = rng.choice((*self._presets * 5, odd_word(rng)))
        overrides = [self._one(rng) for _ in range(rng.choice((1, 1, 3)))]

        def read() -> None:
            config = Config.from_preset(preset).with_overrides(overrides)
            if Config.from_json(config.to_json()) != config:
                raise AssertionError("another configuration after writing and reading")

        return read

    def _one(self, rng: random.Random) -> str:
        key = rng.choice(self._keys) if rng.random() < 0.85 else odd_word(rng)
        equals = rng.choice(("=",) * 9 + ("", "==", ":"))
        return f"{key}{equals}{odd_word(rng, self._values)}"


class _Flags:
    """Words after ``python -m data_prep`` and ``python -m tfvqgen``."""

    def __init__(self, folder: Path):
        from data_prep.commands import (
            crop,
            download,
            embed,
            inspect,
            screen,
            shard,
            synthesize,
        )
        from tfvqgen.cli import app, evaluate, figures, request, sample, verify
        from tfvqgen.command_line import subcommand_parser

        del folder
        preparing = (crop, download, embed, inspect, screen, shard, synthesize)
        using = (app, evaluate, figures, request, sample, verify)
        self._parsers = []
        for modules in (preparing, using):
            commands = {x.__name__.rpartition(".")[2]: x for x in modules}
            parser = subcommand_parser("python -m x", "x", commands)
            self._parsers.append((parser, _flags_of(parser)))

    def draw(self, rng: random.Random) -> Callable[[], object]:
        """Makes a command line."""
        parser, flags = rng.choice(self._parsers)
        command = rng.choice(list(flags))
        words = [command if rng.random() < 0.95 else odd_word(rng)]
        for _ in range(rng.choice((0, 1, 2, 5))):
            flag = rng.choice(flags[command]) if rng.random() < 0.9 else odd_word(rng)
            value = odd_word(rng, ("1", "0.5", "folder", "x.csv"))
            words += rng.choice(([flag, value], [f"{flag}={value}"], [flag]))
        # Reads a file of flags, and says so if there is none; not what is tried here.
        words = [word for word in words if not word.startswith("--flagfile")]
        return lambda: parser.parse_args(words)


def _flags_of(parser) -> dict[str, list[str]]:
    (actions,) = (x for x in parser._actions if getattr(x, "choices", None))
    return {
        name: [word for a in sub._actions for word in a.option_strings]
        for name, sub in actions.choices.items()
    }


class _TrainingFlags:
    """Words after ``train.py``."""

    def __init__(self, folder: Path):
        from absl import flags

        import train

        del folder
        self._flags = flags.FLAGS
        ours = self._flags.flags_by_module_dict()[train.__name__]
        self._names = [flag.name for flag in ours]

    def draw(self, rng: random.Random) -> Callable[[], object]:
        """Makes a command line."""
        from tfvqgen.command_line import parse_flags

        words = ["train.py", "--data_dir=a", "--workdir=b"]
        for _ in range(rng.choice((1, 1, 3))):
            name = rng.choice(self._names) if rng.random() < 0.9 else odd_word(rng)
            value = odd_word(rng, ("1", "all", "demo", "auto"))
            words.append(rng.choice((f"--{name}={value}", f"--no{name}", f"--{name}")))
        words = [word for word in words if not word.startswith("--flagfile")]

        def read() -> None:
            try:
                parse_flags(words)
            finally:
                self._flags.unparse_flags()

        return read


class _Choices:
    """What flags say, read by the commands."""

    def __init__(self, folder: Path):
        from data_prep import labels
        from data_prep.cropping import crop_settings
        from data_prep.download.index import _check_template
        from data_prep.layouts import colours
        from data_prep.shards import splits
        from tfvqgen.generation.request import parse_label_sets

        del folder
        vocabulary = labels.load_vocabulary("hpa24")
        self._readers = {
            "splits": lambda w: splits.parse_splits(w[0]),
            "channels": lambda w: colours.chosen(
                colours.COLOURS, crop_settings.names(w[0])
            ),
            "threshold": lambda w: crop_settings._thresholds(w),
            "labels": lambda w: parse_label_sets(w, vocabulary.labels),
            "template": lambda w: _check_template(w[0], ("a", "b")),
            "resolve": lambda w: labels.resolve(w, vocabulary),
        }
        self._usual = {
            "splits": ("train=0.8,test=0.2", "train=1", "train=0.5,validation=0.5"),
            "channels": ("red,green", "blue"),
            "threshold": (
                *("least_focus=1", "most_nucleus_area=none"),
                *("border_allowed=true", "exempt_labels=a,b"),
            ),
            "labels": _LABELS,
            "template": ("https://a.org/{channel}.png", "{a}_{channel}.jpg.gz"),
            "resolve": _LABELS,
        }

    def draw(self, rng: random.Random) -> Callable[[], object]:
        """Makes words for one of them."""
        kind = rng.choice(list(self._readers))
        usual = self._usual[kind]
        words = [odd_word(rng, usual) for _ in range(rng.choice((1, 1, 2)))]
        if rng.random() < 0.5:
            data = mutated_text(rng.choice(usual).encode(), rng)
            words[0] = data.decode("utf-8", "surrogateescape")
        return lambda: self._readers[kind](words)


class _Requests:
    """Numbers that cells are asked for with."""

    def __init__(self, folder: Path):
        del folder

    def draw(self, rng: random.Random) -> Callable[[], object]:
        """Makes a request."""
        from tfvqgen.generation.request import Request

        numbers = (0, 1, -1, 2**31, 2**63, 2**64, 10**400, 0.5, 1e308, -0.0)
        numbers += (float("nan"), float("inf"))
        names = ("seed", "temperature", "top_p", "guidance")
        given = {
            name: rng.choice(numbers)
            if name != "seed"
            else rng.choice([x for x in numbers if isinstance(x, int)])
            for name in rng.sample(names, rng.choice((1, 2, 4)))
        }
        label_sets = ((), ("Nucleoli",))

        def read() -> None:
            request = Request(label_sets=label_sets, num_per_label=2, **given)
            request.samples(("Nucleoli",))

        return read


class _Vocabularies:
    """Files with a label a line."""

    def __init__(self, folder: Path):
        self._path = folder / "labels.txt"

    def draw(self, rng: random.Random) -> Callable[[], object]:
        """Damages a vocabulary."""
        from data_prep.labels import load_vocabulary, resolve

        lines = b"Nucleoli\nCytosol\nGolgi apparatus\n"
        self._path.write_bytes(mutated_text(lines, rng))
        name = str(self._path) if rng.random() < 0.9 else odd_word(rng, ("hpa24",))
        return lambda: resolve(["nucleoli"], load_vocabulary(name))


TARGETS: dict[str, Callable[[Path], Inputs]] = {
    "overrides": _Overrides,
    "flags": _Flags,
    "training_flags": _TrainingFlags,
    "choices": _Choices,
    "requests": _Requests,
    "vocabularies": _Vocabularies,
}
