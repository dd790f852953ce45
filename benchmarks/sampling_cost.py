"""Operations, bytes and memory for sampling a code, computed from the sizes of a prior.

Prints the table of docs/sampling_cost.md for the priors of a preset at several map
sizes, with and without attention. Nothing is measured.
"""

import argparse
import dataclasses
import itertools
import math

from benchmarks import case
from tfvqgen import Config, command_line
from tfvqgen.config import PriorConfig
from tfvqgen.sampling.incremental_pixelsnail import memory_per_map


@dataclasses.dataclass(frozen=True)
class Matmul:
    """`count` products [rows, inner] x [inner, columns]."""

    count: int
    rows: int
    inner: int
    columns: int
    weights: bool = True  # Whether the second factor is weights.

    @property
    def operations(self) -> int:
        """Multiplications and additions."""
        return 2 * self.count * self.rows * self.inner * self.columns

    @property
    def weight_bytes(self) -> int:
        """Bytes of the weights."""
        size = self.count * self.inner * self.columns
        return 4 * size if self.weights else 0


def row_matmuls(
    config: PriorConfig, maps: int, above: int | None = None
) -> list[Matmul]:
    """Returns the matrix products that are computed once per row.

    By default kernel - 1 rows above are read; the first rows of a map have fewer.
    """
    positions = maps * config.code_shape[1]
    side, gated = config.kernel, config.blocks * config.layers
    width, hidden = config.width, 2 * config.residual_width
    above = side - 1 if above is None else above
    products = [
        Matmul(side, positions, above * width, width),
        Matmul(side * gated, positions, above * width, config.residual_width),
        Matmul(side * gated, positions, above * hidden, 2 * width),
    ]
    if config.conditioned:
        units = gated + config.blocks + config.output_layers
        products.append(Matmul(1, positions, width, units * 2 * width))
    return products


def step_matmuls(config: PriorConfig, maps: int, keys: int) -> list[Matmul]:
    """Returns the products of one position that attends to `keys` positions."""
    gated, blocks, width = config.blocks * config.layers, config.blocks, config.width
    key_size = config.heads * config.key_dim * config.attention
    value_size = config.heads * config.value_dim * config.attention
    taps = config.kernel // 2
    products = [
        Matmul(gated, maps, taps * width, config.residual_width),
        Matmul(gated, maps, 2 * config.residual_width, 2 * width),
        Matmul(blocks, maps, width, key_size + 2 * width),
        Matmul(config.output_layers, maps, width, 2 * width),
        Matmul(1, maps, width, config.num_embeddings),
    ]
    if config.attention:
        products += [
            Matmul(blocks * maps, config.heads, key_size, keys, weights=False),
            Matmul(blocks * maps, config.heads, keys, value_size, weights=False),
            Matmul(blocks, maps, value_size, 2 * width),
            Matmul(blocks, maps, width, key_size + value_size),
        ]
    return products


def mean_share_of_row(config: PriorConfig) -> float:
    """Returns the mean cost of a row relative to a row with kernel - 1 rows above."""
    height, most = config.code_shape[0], config.kernel - 1
    all_rows = sum(
        product.operations
        for row in range(height)
        for product in row_matmuls(config, 1, min(row, most))
    )
    return all_rows / height / sum(x.operations for x in row_matmuls(config, 1))


def operations_per_position(config: PriorConfig) -> float:
    """Returns the mean number of operations for a code of one map."""
    row = sum(x.operations for x in row_matmuls(config, 1)) / config.code_shape[1]
    step = step_matmuls(config, 1, mean_keys(config))
    return row * mean_share_of_row(config) + sum(x.operations for x in step)


def weight_bytes_per_position(config: PriorConfig) -> float:
    """Returns the bytes of weights read per position, for any batch size."""
    row = sum(x.weight_bytes for x in row_matmuls(config, 1)) / config.code_shape[1]
    step = sum(x.weight_bytes for x in step_matmuls(config, 1, 1))
    return row * mean_share_of_row(config) + step


def mean_keys(config: PriorConfig) -> int:
    """Returns the mean number of keys that a position attends to."""
    return math.prod(config.code_shape) // 2 + 1


def at_size(config: PriorConfig, size: int) -> PriorConfig:
    """Returns the configuration for maps of size x size."""
    above = (size // 2, size // 2) if config.conditioned else (0, 0)
    return dataclasses.replace(config, code_shape=(size, size), condition_shape=above)


def main() -> None:
    flags = case.parser(__doc__)
    flags.add_argument("--preset", default="hpa128")
    flags.add_argument("--map_sizes", type=int, nargs="+", default=[16, 32, 64, 128])
    print(table(flags.parse_args()))


def table(args: argparse.Namespace) -> str:
    """Returns the table in Markdown."""
    presets = Config.from_preset(args.preset)
    lines = [
        "| prior | map | attention | million operations a code | MB of weights a code "
        "| MB kept a map |",
        "|---|---|---|---|---|---|",
    ]
    for level, attention in itertools.product(("top", "bottom"), (False, True)):
        for size in args.map_sizes:
            config = dataclasses.replace(getattr(presets, level), attention=attention)
            config = at_size(config, size)
            cells = [level, f"{size} x {size}", "yes" if attention else "no"]
            costs = (operations_per_position, weight_bytes_per_position, memory_per_map)
            cells += [f"{cost(config) / 1e6:.2f}" for cost in costs]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    with command_line.guard():
        main()
