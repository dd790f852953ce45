"""A protein is where its label says, according to the true maps of the tissue."""

import dataclasses
import functools

import numpy as np
import pytest
from scipy import ndimage

from data_prep.labels import load_vocabulary
from data_prep.synthetic import scene, wells
from data_prep.synthetic.canvas import Canvas
from data_prep.synthetic.cell_outlines import cells_around_crops
from data_prep.synthetic.proteins import (
    RECIPES,
    bridge_ends,
    stain_markers,
    stain_protein,
)
from data_prep.synthetic.tissue import paint

SEED = 11


def well_of(*labels, index=0, num_cells=10):
    well = wells.make_well(SEED, index, labels[:1])
    return dataclasses.replace(well, labels=labels, leak=0.0, num_cells=num_cells)


@functools.cache
def stained(label):
    """Returns tissue, markers and the light of the protein."""
    well = well_of(label)
    cells, side = cells_around_crops(well, 65)
    tissue = paint(Canvas(side, 1.0, well.blur), cells, well.rng(wells.PAINT))
    rng = np.random.default_rng(0)
    markers = stain_markers(tissue, well, rng)
    return tissue, markers, stain_protein(tissue, markers, well, rng)


def regions(tissue):
    """Returns true masks by name; the bands are 2 to 3 units wide on each side."""
    inside = tissue.owner > 0
    nucleus = inside & (tissue.nucleus > 0)
    cytoplasm = inside & (tissue.nucleus < -1)
    return {
        "nucleus": nucleus,
        "nucleoli": tissue.nucleoli > 0.4,
        "nucleoplasm": nucleus & (tissue.nucleoli < 0.4),
        "envelope": inside & (np.abs(tissue.nucleus) < 2),
        "cytoplasm": cytoplasm,
        "cytoplasm and envelope": inside & (tissue.nucleus < 2),
        "beside nucleus": cytoplasm & (tissue.nucleus > -16),
        "near border": (tissue.depth > -3) & (tissue.depth < 14),
        "border": np.abs(tissue.depth) < 3,
        "contact": (tissue.depth < 3) & (tissue.depth > -3) & (tissue.second > -3),
    }


# Region of each label's bright pixels, and their least share in it.
PLACES = {
    "Nucleoplasm": ("nucleoplasm", 0.9),
    "Nuclear membrane": ("envelope", 0.9),
    "Nucleoli": ("nucleoli", 0.85),
    "Nucleoli fibrillar center": ("nucleoli", 0.7),
    "Nuclear speckles": ("nucleoplasm", 0.9),
    "Nuclear bodies": ("nucleus", 0.9),
    "Endoplasmic reticulum": ("cytoplasm and envelope", 0.9),
    "Golgi apparatus": ("beside nucleus", 0.8),
    "Peroxisomes": ("cytoplasm", 0.9),
    "Endosomes": ("cytoplasm", 0.8),
    "Lysosomes": ("beside nucleus", 0.7),
    "Intermediate filaments": ("cytoplasm", 0.8),
    "Focal adhesion sites": ("near border", 0.8),
    "Microtubules": ("cytoplasm", 0.8),
    "Microtubule ends": ("cytoplasm", 0.8),
    "Lipid droplets": ("cytoplasm", 0.8),
    "Plasma membrane": ("border", 0.8),
    "Cell junctions": ("contact", 0.8),
    "Mitochondria": ("cytoplasm", 0.9),
    "Cytosol": ("cytoplasm", 0.9),
    "Cytoplasmic bodies": ("cytoplasm", 0.8),
    "Rods & rings": ("cytoplasm", 0.7),
}


@pytest.mark.parametrize("label", PLACES)
def test_a_protein_is_where_its_label_says(label):
    name, least_share = PLACES[label]
    tissue, _, protein = stained(label)
    place = regions(tissue)[name]
    bright = protein > 0.5 * np.percentile(protein, 99.5)
    rest = (tissue.owner > 0) & ~place
    assert place[bright].mean() >= least_share
    assert bright[place].mean() > 2 * bright[rest].mean()


@pytest.mark.parametrize(
    "label", ["Centrosome", "Microtubule organizing center", "Aggresome"]
)
def test_every_cell_has_one_spot_beside_the_nucleus(label):
    tissue, _, protein = stained(label)
    beside = regions(tissue)["beside nucleus"]
    for cell in range(tissue.cells.num_inner):
        mine = tissue.owner == cell + 1
        bright = mine & (protein > 0.5 * protein[mine].max())
        height, width = (np.ptp(np.nonzero(bright)[axis]) for axis in (0, 1))
        assert beside[bright].mean() > 0.6
        assert max(height, width) < 30
        assert protein[mine].max() > 5 * np.median(protein[mine])


def _from_centre(tissue, cell):
    rows, columns = np.indices(tissue.canvas.shape)
    return rows - tissue.cells.y[cell], columns - tissue.cells.x[cell]


def test_actin_runs_along_each_cell_and_its_border():
    tissue, _, protein = stained("Actin filaments")
    place = regions(tissue)
    assert protein[place["border"]].mean() > protein[place["nucleus"]].mean()
    across_energy, along_energy = 0.0, 0.0
    rows, columns = np.gradient(protein)
    for cell in range(tissue.cells.num_inner):
        inner = (tissue.owner == cell + 1) & (tissue.depth > 5)
        axis = tissue.cells.axis[cell]
        along = rows * np.sin(axis) + columns * np.cos(axis)
        across = rows * np.cos(axis) - columns * np.sin(axis)
        along_energy += (along[inner] ** 2).sum()
        across_energy += (across[inner] ** 2).sum()
    assert across_energy > 3 * along_energy


def test_microtubules_are_the_red_channel():
    _, markers, protein = stained("Microtubules")
    assert np.corrcoef(markers.microtubules.ravel(), protein.ravel())[0, 1] > 0.95


def test_a_bridge_joins_the_two_daughter_cells():
    tissue, _, protein = stained("Cytokinetic bridge")
    start, end = bridge_ends(tissue)
    bridges, _ = ndimage.label(protein > 0.2)
    rows = ((start.y + end.y) / 2).astype(int)
    columns = ((start.x + end.x) / 2).astype(int)
    assert len(rows) >= 5
    for first, second, row, column in zip(
        start.cell, end.cell, rows, columns, strict=True
    ):
        assert bridges[row, column] > 0
        bridge = bridges == bridges[row, column]
        assert {first + 1, second + 1} <= set(np.unique(tissue.owner[bridge]))
        assert (tissue.owner[bridge] == 0).any(), "it crosses the gap between them"
    # The midbody in the middle is brightest.
    outside_cells = protein[(tissue.owner == 0) & (protein > 0.2)]
    assert np.median(protein[rows, columns]) > 1.3 * np.median(outside_cells)


def test_a_spindle_spans_the_plate_of_dividing_cells_only():
    tissue, markers, protein = stained("Mitotic spindle")
    cells = tissue.cells
    assert cells.mitotic[: cells.num_inner].mean() > 0.5
    for cell in range(cells.num_inner):
        mine = tissue.owner == cell + 1
        if not cells.mitotic[cell]:
            assert protein[mine].max() < 0.4
            continue
        dy, dx = _from_centre(tissue, cell)
        axis = cells.axis[cell]
        spindle = mine & (markers.spindles > 0.25)
        poleward = (dy * np.cos(axis) - dx * np.sin(axis))[spindle]
        assert poleward.min() < -7 and poleward.max() > 7
        assert protein[spindle].mean() > 5 * protein[mine & ~spindle].mean()


def test_a_protein_of_two_localizations_is_in_both():
    tissue, markers, _ = stained("Nucleoli")
    well = well_of("Nucleoli", "Cytosol")
    both = stain_protein(tissue, markers, well, np.random.default_rng(1))
    place = regions(tissue)
    assert both[place["nucleoli"]].mean() > 2 * both[place["nucleoplasm"]].mean()
    assert both[place["cytoplasm"]].mean() > 1.3 * both[place["nucleoplasm"]].mean()


def test_every_label_of_kaggle_2018_has_a_recipe_in_its_order():
    assert tuple(RECIPES) == load_vocabulary("kaggle2018").labels
    assert set(load_vocabulary("hpa24").labels) <= set(RECIPES)


@pytest.mark.parametrize("label", RECIPES)
def test_a_small_crop_still_shows_its_protein_above_the_noise(label):
    crop = scene.draw_crops(well_of(label, index=1, num_cells=1), 1, 64)[0]
    green = crop.image[..., 1].astype(float)
    # White noise has no correlation between neighbours: half the mean square
    # difference of neighbouring pixels in the dimmer half is its variance.
    dim = green[:, 1:] <= np.median(green)
    noise = np.sqrt(np.mean(np.diff(green, axis=1)[dim] ** 2) / 2)
    assert np.percentile(green, 99.7) > np.median(green) + 5 * noise
