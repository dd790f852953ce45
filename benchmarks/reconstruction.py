"""How well the autoencoder reconstructs real cells it has not seen, beside the recipe.

The recipe is the plain VQ-VAE-2 of `plain_vqvae2` (residual width 32, Adam 3e-4, batch
16, no augmentation), trained on crops of four fifths of the fields and measured on the
crops of the others. Prints a JSON line every `--every` steps.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import case, real_crops
from tfvqgen import command_line
from tfvqgen.errors import UserError

BATCH_SIZE = 16
RECIPE_WIDTH = 32


def main() -> None:
    args = _flags().parse_args()
    if args.fields is None:
        raise UserError("no fields: expected --fields or TFVQGEN_HPA_FIELDS")
    crops = real_crops.cut(args.fields)
    case.import_tensorflow(args.threads)
    train_recipe(crops, args)


def train_recipe(crops: real_crops.Crops, args: argparse.Namespace) -> None:
    """Trains the plain graph and writes a case every `args.every` steps."""
    import tensorflow as tf

    from benchmarks import plain_vqvae2

    sizes = plain_vqvae2.Sizes(
        channels=len(real_crops.CHANNELS), residual_width=RECIPE_WIDTH
    )
    model = plain_vqvae2.PlainVQVAE2(sizes, seed=args.seed)
    batches = random_batches(crops.images[~crops.held_out], args.seed)
    held_out = crops.images[crops.held_out]
    model.start_codebooks(tf.constant(to_unit(next(batches))))
    started, measuring, errors = time.perf_counter(), 0.0, []
    for step in range(1, args.steps + 1):
        errors.append(model.train_step(tf.constant(to_unit(next(batches)))))
        if step % args.every == 0 or step == args.steps:
            trained = time.perf_counter()
            measured = measure(
                lambda images: model.reconstruct(images)[0].numpy(),
                lambda images: [c.numpy() for c in model.reconstruct(images)[1:]],
                held_out,
                sizes.num_embeddings,
            )
            done = {
                "case": "reconstruction",
                "model": "plain_graph",
                "step": step,
                "train_mse": float(np.mean(errors)),
                **measured,
                "train_crops": int((~crops.held_out).sum()),
                "held_out_crops": len(held_out),
                "batch_size": BATCH_SIZE,
                "seed": args.seed,
                "threads": args.threads,
                "seconds": round(trained - started - measuring, 1),
            }
            case.write(done, args.output)
            errors.clear()
            measuring += time.perf_counter() - trained


def random_batches(images: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """Yields batches without end; each pass over the images has an order of its own."""
    generator = np.random.default_rng(seed)
    waiting = np.empty(0, int)
    while True:
        while len(waiting) < BATCH_SIZE:
            waiting = np.append(waiting, generator.permutation(len(images)))
        yield images[waiting[:BATCH_SIZE]]
        waiting = waiting[BATCH_SIZE:]


def to_unit(images: np.ndarray) -> np.ndarray:
    """Scales uint8 images to float32 in [0, 1]."""
    return images.astype(np.float32) / 255


def measure(
    reconstruct: Callable[[np.ndarray], np.ndarray],
    codes: Callable[[np.ndarray], list[np.ndarray]],
    images: np.ndarray,
    num_embeddings: int = 512,
) -> dict[str, Any]:
    """Measures an autoencoder on images it was not trained on.

    Args:
        reconstruct: From float32 images [B, H, W, C] in [0, 1] to images like them.
        codes: From the same to the codes of top and bottom, int [B, h, w] each.
        images: uint8 [N, H, W, C].
        num_embeddings: The size of each codebook.

    Returns:
        ``mse`` over all pixels and channels and its ``psnr`` in dB (of a peak of 1);
        codebook perplexity and usage (share of codes) of both levels over all images;
        and per channel the share of the power that is kept in two bands of spatial
        frequency, above half Nyquist and in the octave below.
    """
    squared, counts, powers = 0.0, np.zeros((2, num_embeddings)), 0.0
    for start in range(0, len(images), BATCH_SIZE):
        batch = to_unit(images[start : start + BATCH_SIZE])
        output = np.clip(reconstruct(batch), 0, 1)
        squared += np.square(output - batch, dtype=np.float64).sum()
        powers += np.stack([band_powers(output), band_powers(batch)])
        for level, found in enumerate(codes(batch)):
            counts[level] += np.bincount(found.ravel(), minlength=num_embeddings)
    mse = squared / images.size
    kept = powers[0] / powers[1]
    return {
        "mse": mse,
        "psnr": -10 * np.log10(mse),
        "top_codebook_perplexity": codebook_perplexity(counts[0]),
        "bottom_codebook_perplexity": codebook_perplexity(counts[1]),
        "top_usage": float((counts[0] > 0).mean()),
        "bottom_usage": float((counts[1] > 0).mean()),
        "power_kept_quarter_to_half_nyquist": kept[0].tolist(),
        "power_kept_above_half_nyquist": kept[1].tolist(),
    }


def codebook_perplexity(counts: np.ndarray) -> float:
    """Returns exp of the entropy of code use, given how often each code was used."""
    share = counts[counts > 0] / counts.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def band_powers(images: np.ndarray) -> np.ndarray:
    """Sums the spectral power of square images [B, N, N, C] in two bands: [2, C].

    The bands, in radius of spatial frequency: N/8 to N/4 (a quarter to half of Nyquist)
    and above N/4.
    """
    side = images.shape[1]
    power = np.square(np.abs(np.fft.fft2(images, axes=(1, 2)))).sum(axis=0)
    frequency = np.fft.fftfreq(side, 1 / side)
    radius = np.hypot(frequency[:, None], frequency)
    middle = (radius > side / 8) & (radius <= side / 4)
    return np.stack([power[middle].sum(axis=0), power[radius > side / 4].sum(axis=0)])


def _flags() -> argparse.ArgumentParser:
    flags = case.parser(__doc__)
    folder = os.environ.get("TFVQGEN_HPA_FIELDS")
    flags.add_argument(
        "--fields",
        type=Path,
        default=folder,
        help="Kaggle 2018 layout: train.csv, train/",
    )
    flags.add_argument("--steps", type=int, default=1000)
    flags.add_argument("--every", type=int, default=100, help="steps between cases")
    return flags


if __name__ == "__main__":
    with command_line.guard():
        main()
