"""How the time for a code grows with the map, with attention and without.

The cached sampler draws whole maps of several sizes from a preset's top prior with
untrained weights, in turns in one process. Per code, only attention has more to do on a
larger map: without it the time should not grow, with it by what is attended to. One
JSON line a case; `growth` is the median of the rounds' ratios to the smallest map.
"""

import argparse
import dataclasses
import itertools
from typing import Any

from benchmarks import case, sampling, sampling_cost
from tfvqgen import Config, command_line


def main() -> None:
    args = _flags().parse_args()
    tf = case.import_tensorflow(args.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    for line in grow(args):
        case.write(line, args.output)


def grow(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Times all cases in turns."""
    presets = Config.from_preset(args.preset).settled(num_labels=sampling.NUM_LABELS)
    configs = {
        (attention, size): sampling_cost.at_size(
            dataclasses.replace(presets.top, attention=attention), size
        )
        for attention, size in itertools.product((False, True), sorted(args.map_sizes))
    }
    runs = {
        key: sampling.cached_sampler(sampling.make_prior(config, args.seed), args)
        for key, config in configs.items()
    }
    seconds = sampling.in_turns(runs, args.rounds)
    per_code = {key: seconds[key] / key[1] ** 2 for key in runs}
    return [
        {
            "case": "sampling_growth",
            "preset": args.preset,
            "attention": attention,
            "map_size": size,
            "batch_size": args.batch_size,
            "microseconds_per_position": sampling.median(
                1e6 * per_code[attention, size]
            ),
            "growth": sampling.median(
                per_code[attention, size] / per_code[attention, min(args.map_sizes)]
            ),
            "operations_per_position": round(
                args.batch_size * sampling_cost.operations_per_position(config)
            ),
            "rounds": args.rounds,
            "seed": args.seed,
            "threads": args.threads,
        }
        for (attention, size), config in configs.items()
    ]


def _flags() -> argparse.ArgumentParser:
    flags = case.parser(__doc__)
    flags.set_defaults(threads=1)
    flags.add_argument("--preset", default="hpa128")
    flags.add_argument("--batch_size", type=int, default=1)
    flags.add_argument("--map_sizes", type=int, nargs="+", default=[16, 32, 64])
    flags.add_argument("--rounds", type=int, default=5)
    return flags


if __name__ == "__main__":
    with command_line.guard():
        main()
