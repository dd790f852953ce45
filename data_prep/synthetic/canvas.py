"""Drawing in units on a canvas of pixels: soft edges, dots, lines and texture."""

import functools
from dataclasses import dataclass

import numpy as np

# Nothing is drawn sharper than this many pixels, or edges would show stairs.
_MIN_SIGMA = 0.55
_LONGEST_PIECE = 2.0  # pixels
_JUMP = 16.0  # pixels; points farther apart are not joined


@dataclass(frozen=True)
class Canvas:
    """A square of `side` units at `scale` pixels a unit, seen through a blur."""

    side: float
    scale: float
    blur: float

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        pixels = round(self.side * self.scale)
        return pixels, pixels

    def sigma_in_pixels(self, sigma: float) -> float:
        """Returns the width, after the optical blur, of what is `sigma` units wide."""
        return max(float(np.hypot(sigma, self.blur)) * self.scale, _MIN_SIGMA)

    def _dimming(self, sigma: float) -> float:
        """Returns how much darker a line is where pixels are too coarse for it."""
        fine = max(float(np.hypot(sigma, self.blur)), _MIN_SIGMA)
        return min(fine * self.scale / self.sigma_in_pixels(sigma), 1.0)

    def soft(self, distance: np.ndarray, width: float = 0.5) -> np.ndarray:
        """Turns signed distances (units, inside > 0) into a mask with a soft edge."""
        ramp = np.float32(0.4 / self.sigma_in_pixels(width) * self.scale)
        mask = distance * ramp
        mask += np.float32(0.5)
        return np.clip(mask, 0, 1, out=mask)

    def texture(self, rng: np.random.Generator, sigma: float) -> np.ndarray:
        """Returns smooth noise of mean 0 and deviation 1; `sigma` in units."""
        return smooth_noise(rng, self.shape, self.sigma_in_pixels(sigma))

    def ridges(self, rng: np.random.Generator, sigma: float) -> np.ndarray:
        """Returns a net of bright threads on dark, in [0, 1]; `sigma` in units."""
        wave = self.texture(rng, sigma)
        net = np.square(np.clip(wave, -1.8, 1.8))
        net *= np.float32(-1 / 0.35**2)
        return np.exp(net, out=net)

    def pixel_of(self, x: np.ndarray, y: np.ndarray):
        """Returns the rows and columns of points, and which lie on the canvas."""
        rows = np.floor(y * self.scale).astype(np.int32)
        columns = np.floor(x * self.scale).astype(np.int32)
        height, width = self.shape
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        return rows, columns, inside

    def dots(self, x, y, sigma: float, weight) -> np.ndarray:
        """Draws Gaussian spots whose peaks are about `weight`; float32 [H, W]."""
        pixels = self.sigma_in_pixels(sigma)
        image = self._splat(x, y, weight)
        # The light of a dot would fall with the square; seen, it falls more slowly.
        peak = 2 * np.pi * pixels**2 * np.sqrt(self._dimming(sigma))
        return _blurred(image, pixels) * np.float32(peak)

    def lines(self, x, y, sigma: float, weight) -> np.ndarray:
        """Draws lines through points.

        Args:
            x: [T, F] T points of each of F lines, in units.
            y: [T, F].
            sigma: Half the thickness, in units.
            weight: [T - 1, F] or broadcastable: the brightness of each piece.

        Returns:
            float32 [H, W]; a single line of weight 1 has about the peak 1.
        """
        dx, dy = np.diff(x, axis=0), np.diff(y, axis=0)
        length = np.hypot(dx, dy) * self.scale
        weight = length * weight
        drawn = (weight != 0) & (length < _JUMP)
        x, y, dx, dy = x[:-1][drawn], y[:-1][drawn], dx[drawn], dy[drawn]
        length, weight = length[drawn], weight[drawn]
        # Long pieces would show as a row of beads: they are drawn in parts.
        long = np.flatnonzero(length > _LONGEST_PIECE)
        parts = np.ceil(length[long] / _LONGEST_PIECE).astype(np.int64)
        piece, size = np.repeat(long, parts), np.repeat(parts, parts)
        part = np.arange(len(piece)) - np.repeat(np.cumsum(parts) - parts, parts)
        share = ((part + 0.5) / size).astype(np.float32)
        split = weight[piece] / size
        weight[long] = 0
        pixels = self.sigma_in_pixels(sigma)
        image = self._splat(
            np.append(x + dx / 2, x[piece] + share * dx[piece]),
            np.append(y + dy / 2, y[piece] + share * dy[piece]),
            np.append(weight, split),
        )
        peak = np.sqrt(2 * np.pi) * pixels * self._dimming(sigma)
        return _blurred(image, pixels) * np.float32(peak)

    def _splat(self, x, y, weight) -> np.ndarray:
        """Shares each point's weight among the four pixels around it."""
        height, width = self.shape
        x = np.asarray(x, np.float32) * np.float32(self.scale) - np.float32(0.5)
        y = np.asarray(y, np.float32) * np.float32(self.scale) - np.float32(0.5)
        weight = np.broadcast_to(np.asarray(weight, np.float32), x.shape)
        keep = (x > 0) & (x < width - 1) & (y > 0) & (y < height - 1) & (weight != 0)
        x, y, weight = x[keep], y[keep], weight[keep]
        column, row = x.astype(np.int32), y.astype(np.int32)
        right, below = x - column, y - row
        corner = row * width + column
        low = weight * below
        high = weight - low
        places = np.concatenate(
            [corner, corner + 1, corner + width, corner + width + 1]
        )
        shares = np.concatenate(
            [high - high * right, high * right, low - low * right, low * right]
        )
        image = np.bincount(places, shares, height * width)
        return image.reshape(height, width).astype(np.float32)


def _blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(image, sigma, mode="constant", truncate=3)


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
