"""Random texture, cut out of periodic sheets of noise that are made once a process."""

import functools

import numpy as np

SHEET_SIDE = 1024
_WHITE = 0  # the seed key of the white sheets; smooth ones use their sigma


@functools.cache
def _smooth_sheet(hundredths: int) -> np.ndarray:
    """Gaussian noise of mean 0 and deviation 1, smoothed by `hundredths` / 100 px."""
    rng = np.random.default_rng((SHEET_SIDE, hundredths))
    white = rng.standard_normal((SHEET_SIDE, SHEET_SIDE), dtype=np.float32)
    rows = np.fft.fftfreq(SHEET_SIDE)[:, None]
    columns = np.fft.rfftfreq(SHEET_SIDE)[None, :]
    sigma = hundredths / 100
    transfer = np.exp(-2 * (np.pi * sigma) ** 2 * (rows**2 + columns**2))
    smooth = np.fft.irfft2(np.fft.rfft2(white) * transfer, s=white.shape)
    smooth -= smooth.mean()
    return (smooth / smooth.std()).astype(np.float32)


@functools.cache
def _white_sheet() -> np.ndarray:
    rng = np.random.default_rng((SHEET_SIDE, _WHITE))
    return rng.standard_normal((SHEET_SIDE, SHEET_SIDE), dtype=np.float32)


def _cut(sheet: np.ndarray, rng: np.random.Generator, shape) -> np.ndarray:
    """Returns a piece of a periodic sheet at a random place; not to be written to."""
    room = [SHEET_SIDE - size for size in shape]
    if min(room) >= SHEET_SIDE // 8:
        row, column = rng.integers(0, room)
        piece = sheet[row : row + shape[0], column : column + shape[1]]
    else:
        rows, columns = (
            (start + np.arange(size)) % SHEET_SIDE
            for start, size in zip(rng.integers(0, SHEET_SIDE, 2), shape, strict=True)
        )
        piece = np.take(np.take(sheet, rows, axis=0), columns, axis=1)
    piece.flags.writeable = False
    return piece


def smooth_noise(rng: np.random.Generator, shape, sigma: float) -> np.ndarray:
    """Returns smooth Gaussian noise of mean 0 and deviation 1.

    Args:
        rng: Where the piece is cut from the sheet.
        shape: (height, width).
        sigma: Width of the smoothing in pixels, at least .5 and at most 100.

    Returns:
        float32 [height, width].
    """
    hundredths = int(np.clip(round(sigma * 20) * 5, 50, 10_000))
    return _cut(_smooth_sheet(hundredths), rng, shape)


def white_noise(rng: np.random.Generator, shape) -> np.ndarray:
    """Returns independent standard normal values, float32 [height, width]."""
    return _cut(_white_sheet(), rng, shape)
