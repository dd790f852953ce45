"""What memory drawing takes, and how many cells are therefore drawn at a time."""

from tfvqgen.config import PriorConfig

FLOAT_BYTES = 4
# Drawing at most takes about so many bytes; the rest of a request waits its turn.
BUDGET = 2_000_000_000
# With guidance a map is drawn beside its unconditional twin.
_PASSES = 2
# What is kept, what the next row makes of it, and both put together for the matmuls.
_COPIES = 3
# Fewer at a time would leave the matmuls too small.
_FEWEST_AT_ONCE = 16


def memory_per_map(config: PriorConfig) -> int:
    """Returns the bytes that are kept from row to row for one map at the end of it.

    The last k - 1 rows of embedded codes and of what gated layers read, with k // 2
    columns of zeros on both sides; the keys and values of all positions and the start;
    the context, which has a vector for each position if the prior is conditioned.
    """
    height, width = config.code_shape
    gated = config.blocks * config.layers
    padded = width + 2 * (config.kernel // 2)
    row = padded * (config.width + gated * (config.width + 2 * config.residual_width))
    keys = config.heads * (config.key_dim + config.value_dim) * config.attention
    context = config.width * (height * width if config.conditioned else 1)
    kept = (config.kernel - 1) * row
    kept += config.blocks * keys * (height * width + 1)
    return FLOAT_BYTES * (kept + context)


def drawing_memory(config: PriorConfig) -> int:
    """Returns the bytes that drawing one map takes at most, with guidance."""
    return _PASSES * _COPIES * memory_per_map(config)


def drawn_at_once(top: PriorConfig, bottom: PriorConfig, most: int) -> int:
    """Returns how many cells are drawn at a time, at most `most`.

    The levels are drawn one after the other.
    """
    each = max(drawing_memory(top), drawing_memory(bottom))
    return min(most, max(_FEWEST_AT_ONCE, BUDGET // each))
