"""Dots, lines and noise on a canvas of pixels, in units of length.

Nothing is drawn sharper than half a pixel, so that edges show no stairs.
"""

import functools
from dataclasses import dataclass

import numpy as np

_MIN_SIGMA = 0.55  # Pixels.
_LONGEST_PIECE = 2.0  # Pixels.
_JUMP = 16.0  # Pixels: points that are farther apart are not joined.
_NOISE_SIDE = 1024  # Pixels.


@dataclass(frozen=True)
class Canvas:
    """A square of `side` units at `scale` pixels per unit, seen through a blur."""

    side: float
    scale: float
    blur: float

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        pixels = round(self.side * self.scale)
        return pixels, pixels

    def sigma_in_pixels(self, sigma: float) -> float:
        """Returns the width after the optical blur; `sigma` is in units."""
        return max(float(np.hypot(sigma, self.blur)) * self.scale, _MIN_SIGMA)

    def _dimming(self, sigma: float) -> float:
        """Returns the factor of a line's brightness if it is finer than the pixels."""
        fine = max(float(np.hypot(sigma, self.blur)), _MIN_SIGMA)
        return min(fine * self.scale / self.sigma_in_pixels(sigma), 1.0)

    def soft(self, distance: np.ndarray, width: float = 0.5) -> np.ndarray:
        """Returns a mask with a soft edge; `distance` is in units, positive inside."""
        ramp = np.float32(0.4 / self.sigma_in_pixels(width) * self.scale)
        return np.clip(distance * ramp + np.float32(0.5), 0, 1)

    def texture(self, rng: np.random.Generator, sigma: float) -> np.ndarray:
        """Returns smooth noise of mean 0 and deviation 1; `sigma` is in units."""
        return random_noise(rng, self.shape, self.sigma_in_pixels(sigma))

    def ridges(self, rng: np.random.Generator, sigma: float) -> np.ndarray:
        """Returns a net of bright threads in [0, 1]; `sigma` is in units."""
        net = np.square(np.clip(self.texture(rng, sigma), -1.8, 1.8))
        return np.exp(net * np.float32(-1 / 0.35**2))

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
        # Physically the peak would fall with the square; this looks better.
        peak = 2 * np.pi * pixels**2 * np.sqrt(self._dimming(sigma))
        return self._blurred_points(x, y, weight, pixels) * np.float32(peak)

    def lines(self, x, y, sigma: float, weight) -> np.ndarray:
        """Draws lines: float32 [H, W]; a line of weight 1 has a peak of about 1.

        Args:
            x: [T, F] T points of each of F lines, in units.
            y: [T, F].
            sigma: Half the thickness, in units.
            weight: [T - 1, F] or broadcastable: the brightness of each piece.
        """
        dx, dy = np.diff(x, axis=0), np.diff(y, axis=0)
        length = np.hypot(dx, dy) * self.scale
        weight = length * weight
        drawn = (weight != 0) & (length < _JUMP)
        x, y, dx, dy = x[:-1][drawn], y[:-1][drawn], dx[drawn], dy[drawn]
        length, weight = length[drawn], weight[drawn]
        # Long pieces are drawn in parts: as one dot each they would look like beads.
        long = np.flatnonzero(length > _LONGEST_PIECE)
        parts = np.ceil(length[long] / _LONGEST_PIECE).astype(np.int64)
        piece, size = np.repeat(long, parts), np.repeat(parts, parts)
        part = np.arange(len(piece)) - np.repeat(np.cumsum(parts) - parts, parts)
        share = ((part + 0.5) / size).astype(np.float32)
        split = weight[piece] / size
        weight[long] = 0
        pixels = self.sigma_in_pixels(sigma)
        image = self._blurred_points(
            np.append(x + dx / 2, x[piece] + share * dx[piece]),
            np.append(y + dy / 2, y[piece] + share * dy[piece]),
            np.append(weight, split),
            pixels,
        )
        peak = np.sqrt(2 * np.pi) * pixels * self._dimming(sigma)
        return image * np.float32(peak)

    def _blurred_points(self, x, y, weight, sigma: float) -> np.ndarray:
        """Divides each point's weight among four pixels, and blurs the image."""
        from scipy.ndimage import gaussian_filter

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
        pixels = [corner, corner + 1, corner + width, corner + width + 1]
        shares = [high - high * right, high * right, low - low * right, low * right]
        image = np.bincount(
            np.concatenate(pixels), np.concatenate(shares), height * width
        )
        image = image.reshape(height, width).astype(np.float32)
        return gaussian_filter(image, sigma, mode="constant", truncate=3)


@functools.cache
def _periodic_noise(hundredths: int) -> np.ndarray:
    """Returns Gaussian noise, smoothed by `hundredths` / 100 pixels."""
    rng = np.random.default_rng((_NOISE_SIDE, hundredths))
    white = rng.standard_normal((_NOISE_SIDE, _NOISE_SIDE), dtype=np.float32)
    if not hundredths:
        return white
    rows = np.fft.fftfreq(_NOISE_SIDE)[:, None]
    columns = np.fft.rfftfreq(_NOISE_SIDE)
    sigma = hundredths / 100
    transfer = np.exp(-2 * (np.pi * sigma) ** 2 * (rows**2 + columns**2))
    smooth = np.fft.irfft2(np.fft.rfft2(white) * transfer, s=white.shape)
    smooth -= smooth.mean()
    return (smooth / smooth.std()).astype(np.float32)


def random_noise(
    rng: np.random.Generator, shape: tuple[int, int], sigma: float | None = None
) -> np.ndarray:
    """Returns Gaussian noise of mean 0 and deviation 1, float32 [height, width].

    It is a random piece of periodic noise, and read-only. `sigma` is the width of the
    smoothing in pixels, from 0.5 to 100; None is white noise.
    """
    hundredths = 0 if sigma is None else np.clip(round(sigma * 20) * 5, 50, 10_000)
    noise = _periodic_noise(int(hundredths))
    room = [_NOISE_SIDE - size for size in shape]
    if min(room) >= _NOISE_SIDE // 8:
        row, column = rng.integers(0, room)
        piece = noise[row : row + shape[0], column : column + shape[1]]
    else:
        row, column = rng.integers(0, _NOISE_SIDE, 2)
        piece = noise.take(row + np.arange(shape[0]), 0, mode="wrap")
        piece = piece.take(column + np.arange(shape[1]), 1, mode="wrap")
    piece.flags.writeable = False
    return piece
