"""What memory drawing takes, and how many cells are therefore drawn at a time."""

from tfvqgen.config import PriorConfig

FLOAT_BYTES = 4
# Drawing at most takes about so many bytes; the rest of a request waits its turn.
BUDGET = 2_000_000_000
# With guidance a map is drawn beside its unconditional twin.
_PASSES = 2
# What is kept, what the next row makes of it, both put together for the matmuls, and
# what these give; measured: 3.2.
_COPIES = 4
# Fewer at a time would leave the matmuls too small.
_FEWEST_AT_ONCE = 16
# Pixels that go through the autoencoder at a time, and positions of the bottom maps
# that are judged at a time.
CONVOLVED_PIXELS = 1 << 20
SCORED_POSITIONS = 1 << 14


def kept_numbers(config: PriorConfig) -> dict[str, int]:
    """Returns how many numbers are kept from row to row for one map, after the last.

    By the fields of the sampler's history. Rows have k // 2 columns of zeros on both
    sides. The context is a vector for each position if the prior is conditioned.
    """
    height, width = config.code_shape
    gated = config.blocks * config.layers
    rows = (config.kernel - 1) * _padded(config)
    keys = config.blocks * config.heads * (config.key_dim + config.value_dim)
    return {
        "embedded": rows * config.width,
        "completed": rows * gated * config.width,
        "hidden": rows * gated * 2 * config.residual_width,
        "attention": keys * (height * width + 1) * config.attention,
        "context": config.width * (height * width if config.conditioned else 1),
    }


def row_numbers(config: PriorConfig) -> dict[str, int]:
    """Returns how many numbers more there are for one map while a row is drawn.

    What is known of each position when its row starts (ready), and the sampler's state;
    its keys, with room for the row, beside those that are kept: here those of the last.
    """
    width, gated = config.code_shape[1], config.blocks * config.layers
    queries = config.heads * config.key_dim * config.attention
    pointwise = config.blocks * (queries + 2 * config.width)
    outputs = config.output_layers * 2 * config.width
    # Without places nor a condition the pointwise units take the same everywhere.
    output_columns = width if config.conditioned else 1
    end_columns = width if config.attention else output_columns
    ready = width * config.width
    ready += width * gated * (config.residual_width + 2 * config.width)
    ready += end_columns * pointwise + output_columns * outputs
    reach, padded = config.kernel // 2, _padded(config)
    return {
        "ready": ready,
        "completed": reach * gated * config.width,
        "inputs": reach * config.width,
        "completed_row": padded * gated * config.width,
        "hidden_row": padded * gated * 2 * config.residual_width,
        "attention": kept_numbers(config)["attention"],
    }


def memory_per_map(config: PriorConfig) -> int:
    """Returns the bytes that are kept for one map at the end of it."""
    return FLOAT_BYTES * sum(kept_numbers(config).values())


def row_memory_per_map(config: PriorConfig) -> int:
    """Returns the bytes more for one map while a row is drawn."""
    return FLOAT_BYTES * sum(row_numbers(config).values())


def drawing_memory(config: PriorConfig) -> int:
    """Returns the bytes that drawing one map takes at most, with guidance."""
    return _PASSES * _COPIES * memory_per_map(config)


def drawn_at_once(top: PriorConfig, bottom: PriorConfig, most: int) -> int:
    """Returns how many cells are drawn at a time, at most `most`.

    The levels are drawn one after the other.
    """
    each = max(drawing_memory(top), drawing_memory(bottom))
    return min(most, max(_FEWEST_AT_ONCE, BUDGET // each))


def convolved_at_once(image_shape: tuple[int, int, int]) -> int:
    """Returns how many images go through the autoencoder at a time."""
    height, width, _ = image_shape
    return max(1, CONVOLVED_PIXELS // (height * width))


def scored_at_once(bottom: PriorConfig) -> int:
    """Returns how many cells are judged at a time.

    All their positions are, and attention pairs each with each.
    """
    height, width = bottom.code_shape
    return max(1, SCORED_POSITIONS // (height * width))


def _padded(config):
    return config.code_shape[1] + 2 * (config.kernel // 2)
