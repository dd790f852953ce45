"""Crops for TensorBoard's projector: their features' components, map and thumbnails.

The projector draws at most 100,000 points and takes no decisions; it turns them in
three dimensions, and finds neighbours. The coordinates of the map are a tensor of their
own beside the components, so that nothing is computed anew there.
"""

import os
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from data_prep.embedding import projection
from data_prep.screening.review.sprites import Thumbnails, sheet_of
from data_prep.screening.screening import Screening
from tfvqgen.errors import require_package
from tfvqgen.files import whole_file

MOST_POINTS = 100_000
# Browsers refuse pictures, and graphics cards textures, that are wider.
_WIDEST_SPRITE = 8192
_TILE = 48


def write_projector(
    screening: Screening, output: str | os.PathLike, most: int = MOST_POINTS
) -> int:
    """Writes a log folder that ``tensorboard --logdir`` shows under *Projector*.

    Args:
        screening: The crops.
        output: The folder, made if need be.
        most: How many crops at most, each cluster giving its share.

    Returns:
        How many crops there are.

    Raises:
        UserError: TensorBoard is not installed.
    """
    require_package("tensorboard", "tensorboard")
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    chosen = projection.stratified(screening.table.clusters, most, seed=0)
    components = projection.principal_components(screening.features.values)
    _write_table(output / "components.tsv", components[chosen])
    _write_table(output / "umap.tsv", screening.table.positions[chosen])
    _write_metadata(output / "metadata.tsv", screening, chosen)
    tile = _write_sprite(output / "sprite.png", screening, chosen)
    embeddings = "".join(_entry(name, tile) for name in ("umap", "components"))
    with whole_file(output / "projector_config.pbtxt", "w") as file:
        file.write(embeddings)
    return len(chosen)


def _entry(name: str, tile: int) -> str:
    return (
        "embeddings {\n"
        f'  tensor_name: "{name}"\n'
        f'  tensor_path: "{name}.tsv"\n'
        '  metadata_path: "metadata.tsv"\n'
        "  sprite {\n"
        '    image_path: "sprite.png"\n'
        f"    single_image_dim: {tile}\n"
        f"    single_image_dim: {tile}\n"
        "  }\n"
        "}\n"
    )


def _write_table(path: Path, values: np.ndarray) -> None:
    with whole_file(path, "w") as file:
        np.savetxt(file, values, fmt="%.5g", delimiter="\t")


def _write_metadata(path: Path, screening: Screening, chosen: np.ndarray) -> None:
    with whole_file(path, "w") as file:
        file.write("crop_id\tlabels\tgroup\tcluster\n")
        for index in chosen.tolist():
            crop = screening.crops[index]
            number = screening.table.clusters[index]
            cells = (crop.crop_id, "|".join(crop.labels), crop.group, str(number))
            file.write("\t".join(" ".join(cell.split()) for cell in cells) + "\n")


def _write_sprite(path: Path, screening: Screening, chosen: np.ndarray) -> int:
    """Writes one square picture of all thumbnails; returns a thumbnail's side."""
    side = int(np.ceil(np.sqrt(len(chosen))))
    tile = min(_TILE, _WIDEST_SPRITE // side)
    thumbnails = Thumbnails(screening.folder, tile)
    crops = (screening.crops[index] for index in chosen.tolist())
    progress = tqdm(crops, total=len(chosen), unit="crop", desc="thumbnails")
    sheet = sheet_of(map(thumbnails, progress), side)
    picture = np.zeros((side * tile, side * tile, 3), np.uint8)
    picture[: len(sheet)] = sheet
    with whole_file(path) as file:
        Image.fromarray(picture).save(file, "PNG")
    return tile
