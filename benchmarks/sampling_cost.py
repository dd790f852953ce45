"""What drawing a code costs: operations, bytes and memory by a prior's sizes.

Prints the table of docs/sampling_cost.md for a preset's priors at several map sizes.
"""

import argparse
import dataclasses
import math

from benchmarks import case
from tfvqgen import Config, command_line
from tfvqgen.config import PriorConfig
from tfvqgen.serving.memory import FLOAT_BYTES, memory_per_map


@dataclasses.dataclass(frozen=True)
class Matmul:
    """`count` products [rows, inner] x [inner, columns].

    Attributes:
        weights: Whether the second factor is weights, the same for all maps.
    """

    count: int
    rows: int
    inner: int
    columns: int
    weights: bool = True

    @property
    def operations(self) -> int:
        """Multiplications and additions."""
        return 2 * self.count * self.rows * self.inner * self.columns

    @property
    def weight_bytes(self) -> int:
        """Bytes of the weights."""
        size = self.count * self.inner * self.columns
        return FLOAT_BYTES * size if self.weights else 0


def row_matmuls(config: PriorConfig, maps: int) -> list[Matmul]:
    """Returns the products that are done once a row, for all its positions."""
    positions = maps * config.code_shape[1]
    side, gated = config.kernel, config.blocks * config.layers
    width, hidden = config.width, 2 * config.residual_width
    above = side - 1
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
    """Returns the products of one position; `keys` is how many it attends to."""
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


def operations_per_position(config: PriorConfig) -> float:
    """Returns multiplications and additions for a code of one map, on average."""
    row = sum(x.operations for x in row_matmuls(config, 1)) / config.code_shape[1]
    step = step_matmuls(config, 1, mean_keys(config))
    return row + sum(x.operations for x in step)


def weight_bytes_per_position(config: PriorConfig) -> float:
    """Returns the bytes of weights read for a position, whatever the batch."""
    row = sum(x.weight_bytes for x in row_matmuls(config, 1)) / config.code_shape[1]
    return row + sum(x.weight_bytes for x in step_matmuls(config, 1, 1))


def mean_keys(config: PriorConfig) -> int:
    """Returns how many keys a position attends to on average."""
    return math.prod(config.code_shape) // 2 + 1


def at_size(config: PriorConfig, size: int) -> PriorConfig:
    """Returns a prior's sizes for maps of size x size."""
    above = (size // 2, size // 2) if config.conditioned else (0, 0)
    return dataclasses.replace(config, code_shape=(size, size), condition_shape=above)


def main() -> None:
    flags = case.parser(__doc__)
    flags.add_argument("--preset", default="hpa128")
    flags.add_argument("--map_sizes", type=int, nargs="+", default=[16, 32, 64, 128])
    print(table(flags.parse_args()))


def table(args: argparse.Namespace) -> str:
    """Returns the table in Markdown."""
    config = Config.from_preset(args.preset)
    lines = [
        "| prior | map | million operations a code | of them attention | MB of weights "
        "a position | MB kept a map |",
        "|---|---|---|---|---|---|",
    ]
    for level in ("top", "bottom"):
        for size in args.map_sizes:
            prior = at_size(getattr(config, level), size)
            attention = sum(
                product.operations
                for product in step_matmuls(prior, 1, mean_keys(prior))
                if not product.weights
            )
            lines.append(
                f"| {level} | {size} x {size} "
                f"| {operations_per_position(prior) / 1e6:.1f} "
                f"| {attention / 1e6:.2f} "
                f"| {weight_bytes_per_position(prior) / 1e6:.2f} "
                f"| {memory_per_map(prior) / 1e6:.2f} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    with command_line.guard():
        main()
