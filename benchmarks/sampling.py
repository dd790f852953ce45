"""Duration of cached sampling, relative to a full forward pass for each code.

The cached sampler and the plain reference sample from the same prior with untrained
weights (the priors of a preset, at each map size). They and the floor are timed in one
process, alternating. Seconds are medians over the rounds for whole batches of maps;
ratios are medians of the ratios of the rounds. The reference costs the same at each
position: it is timed at some positions, spread over the map, and extrapolated.

`floor_ratio` is the time of the cached sampler per position over a lower bound, the
larger one of

- weight bytes / bandwidth: the weights of the matrix products of a step and of a row
  divided by its positions; the bandwidth is that of summing an array of this size;
- operations / rate: the same products and the attention; the rate is that of a loop of
  exactly these products, with as many different weights.

The output is one JSON line for each case.
"""

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import case, sampling_cost
from benchmarks.case import median
from benchmarks.sampling_cost import Matmul
from tfvqgen import Config, command_line
from tfvqgen.config import PriorConfig

CASES = ("top16", "bottom32", "top32", "bottom64")
NUM_LABELS = 24
TURNS = 8
NUM_TIMED = 8  # Positions at which the reference is timed.


def main() -> None:
    flags = case.parser(__doc__)
    # One thread is the fastest for a single map.
    flags.set_defaults(threads=1)
    flags.add_argument("--preset", default="hpa128")
    flags.add_argument("--batch_size", type=int, default=1)
    flags.add_argument("--cases", nargs="+", choices=CASES, default=CASES)
    flags.add_argument("--rounds", type=int, default=5)
    args = flags.parse_args()
    tf = case.import_tensorflow(args.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    for name in args.cases:
        case.write(compare(name, args), args)


def compare(name: str, args: argparse.Namespace) -> dict[str, Any]:
    from tfvqgen.sampling import ancestral_sample

    level, size = name[:-2], int(name[-2:])
    config = Config.from_preset(args.preset).settled(num_labels=NUM_LABELS)
    config = sampling_cost.at_size(getattr(config, level), size)
    positions = size * size
    timed = np.unique(np.linspace(0, positions - 1, NUM_TIMED).astype(int))
    row = sampling_cost.row_matmuls(config, args.batch_size)
    keys = sampling_cost.mean_keys(config)
    step = sampling_cost.step_matmuls(config, args.batch_size, keys)
    streamed = sum(x.weight_bytes for x in row + step)
    prior = make_prior(config, args.seed)
    inputs = _inputs(prior, args.batch_size)
    runs = {
        "cached": lambda: ancestral_sample(prior, *inputs).numpy(),
        "reference": reference_sampler(prior, inputs, timed),
        "row": only_matmuls(row, TURNS),
        "step": only_matmuls(step, TURNS * size),
        "stream": stream(streamed, TURNS),
    }
    times = case.alternate(runs, args.rounds)
    seconds = {name: wall[:, 0] for name, wall in times.items()}
    seconds["reference"] *= positions / len(timed)
    # The first rows read fewer rows above them than the timed one.
    seconds["row"] *= sampling_cost.mean_share_of_row(config)
    matmul_seconds = (seconds["row"] + seconds["step"]) / TURNS / size
    operations = args.batch_size * sampling_cost.operations_per_position(config)
    weight_bytes = sampling_cost.weight_bytes_per_position(config)
    bandwidth = TURNS * streamed / seconds["stream"]
    cached = seconds["cached"]
    floors = np.maximum(weight_bytes / bandwidth, matmul_seconds)
    return {
        "case": "sampling",
        "level": level,
        "map_size": size,
        "cached_seconds": median(cached),
        "ratio": median(seconds["reference"] / cached),
        "floor_ratio": median(cached / positions / floors),
        "bandwidth_gigabytes_per_second": median(bandwidth / 1e9),
        "matmul_gigaflops": median(operations / matmul_seconds / 1e9),
    }


def make_prior(config: PriorConfig, seed: int) -> Any:
    """Returns a prior with untrained weights."""
    import keras

    from tfvqgen.models import PixelSNAIL

    keras.utils.set_random_seed(seed)
    prior = PixelSNAIL(config)
    prior.build()
    return prior


def reference_sampler(prior: Any, inputs: tuple, timed: np.ndarray) -> Callable:
    """Returns a function that samples the codes of some positions."""
    import tensorflow as tf

    from tfvqgen.sampling.ancestral import SamplerInputs, sample_positions

    @tf.function
    def reference(positions):
        sampler_inputs = SamplerInputs(prior, *inputs)
        codes = tf.zeros([len(inputs[0]), *prior.code_shape], tf.int32)
        return sample_positions(prior, sampler_inputs, codes, positions)

    positions = tf.constant(timed, tf.int32)
    return lambda: reference(positions).numpy()


def _inputs(prior, batch_size):
    """Returns seeds, labels and the condition."""
    import tensorflow as tf

    seeds = tf.range(batch_size, dtype=tf.int64)
    labels = tf.one_hot(seeds % NUM_LABELS, NUM_LABELS)
    condition = None
    if prior.config.conditioned:
        condition = tf.zeros([batch_size, *prior.config.condition_shape], tf.int32)
    return seeds, labels, condition


def only_matmuls(products: list[Matmul], turns: int) -> Callable[[], None]:
    """Returns a function that computes the products `turns` times."""
    import tensorflow as tf

    pairs = [
        (
            tf.Variable(tf.random.normal([count, x.rows, x.inner]) / x.inner**0.5),
            tf.Variable(tf.random.normal([count, x.inner, x.columns])),
        )
        for x in products
        for count in _batches(x)
    ]

    @tf.function
    def run():
        last = tf.zeros([])
        for _ in tf.range(turns):
            # Using one number of each product keeps all of them in the graph.
            with tf.control_dependencies([last]):
                used = [
                    # A batch of one product would take longer.
                    tf.matmul(left, right)[0, 0, 0]
                    if left.shape[0] > 1
                    else tf.matmul(left[0], right[0])[0, 0]
                    for left, right in pairs
                ]
            last = tf.add_n(used)
        return last

    return lambda: run().numpy()


def _batches(product: Matmul) -> list[int]:
    """Returns how the sampler groups the products: small ones in one batched matmul."""
    small = product.rows * product.inner * product.columns < 1 << 20
    return [product.count] if small and product.count else [1] * product.count


def stream(size: int, turns: int) -> Callable[[], None]:
    """Returns a function that reads an array of `size` bytes `turns` times."""
    import tensorflow as tf

    data = tf.Variable(tf.ones([size // 4]))

    @tf.function
    def run():
        last = tf.zeros([])
        for _ in tf.range(turns):
            with tf.control_dependencies([last]):
                last = tf.reduce_sum(data)
        return last

    return lambda: run().numpy()


if __name__ == "__main__":
    with command_line.guard():
        main()
