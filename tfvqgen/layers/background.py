"""Where a position is on its map, as features."""

# Shapes: H x W positions, G features.

import numpy as np

OCTAVES = 3


def background(height: int, width: int) -> np.ndarray:
    """Returns coordinates of every position, float32 [H, W, G].

    Row and column run from -1 to 1; beside them stand sines and cosines of half a
    period over the map, one, two, so that a linear function of the features can tell
    the centre from the rim. A side of one position is at 0.
    """
    features = []
    for side, axis in ((height, 0), (width, 1)):
        line = np.linspace(-1, 1, side) if side > 1 else np.zeros(1)
        waves = [line]
        for octave in range(OCTAVES):
            angle = np.pi / 2 * 2**octave * line
            waves += [np.sin(angle), np.cos(angle)]
        grid = np.stack(waves, axis=-1)
        grid = grid[:, None] if axis == 0 else grid[None]
        features.append(np.broadcast_to(grid, (height, width, grid.shape[-1])))
    return np.concatenate(features, axis=-1).astype(np.float32)
