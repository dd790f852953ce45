"""The protein channel: one recipe for each localization of Kaggle 2018."""

from collections.abc import Callable

import numpy as np

from data_prep.synthetic import nuclear_proteins as nuclear
from data_prep.synthetic import organelle_proteins as organelles
from data_prep.synthetic import skeleton_proteins as skeleton
from data_prep.synthetic.markers import Markers
from data_prep.synthetic.tissue import Tissue
from data_prep.synthetic.wells import Well

# In the order of the Kaggle 2018 indices.
RECIPES: dict[str, Callable] = {
    "Nucleoplasm": nuclear.nucleoplasm,
    "Nuclear membrane": nuclear.nuclear_membrane,
    "Nucleoli": nuclear.nucleoli,
    "Nucleoli fibrillar center": nuclear.nucleoli_fibrillar_center,
    "Nuclear speckles": nuclear.nuclear_speckles,
    "Nuclear bodies": nuclear.nuclear_bodies,
    "Endoplasmic reticulum": organelles.endoplasmic_reticulum,
    "Golgi apparatus": organelles.golgi_apparatus,
    "Peroxisomes": organelles.peroxisomes,
    "Endosomes": organelles.endosomes,
    "Lysosomes": organelles.lysosomes,
    "Intermediate filaments": skeleton.intermediate_filaments,
    "Actin filaments": skeleton.actin_filaments,
    "Focal adhesion sites": skeleton.focal_adhesion_sites,
    "Microtubules": skeleton.microtubules,
    "Microtubule ends": skeleton.microtubule_ends,
    "Cytokinetic bridge": skeleton.cytokinetic_bridge,
    "Mitotic spindle": skeleton.mitotic_spindle,
    "Microtubule organizing center": organelles.microtubule_organizing_center,
    "Centrosome": organelles.centrosome,
    "Lipid droplets": organelles.lipid_droplets,
    "Plasma membrane": skeleton.plasma_membrane,
    "Cell junctions": skeleton.cell_junctions,
    "Mitochondria": organelles.mitochondria,
    "Aggresome": organelles.aggresome,
    "Cytosol": organelles.cytosol,
    "Cytoplasmic bodies": organelles.cytoplasmic_bodies,
    "Rods & rings": organelles.rods_and_rings,
}


def stain_protein(
    tissue: Tissue, markers: Markers, well: Well, rng: np.random.Generator
) -> np.ndarray:
    """Draws the green channel: the well's localizations, and a faint leak.

    A protein of several localizations has its molecules divided among them: as bright
    as alone they would add up to more than any exposure is made for.
    """
    share = np.float32(1 / len(well.labels))
    protein = np.float32(well.leak) * tissue.body * tissue.thickness
    for label in well.labels:
        protein = protein + share * RECIPES[label](tissue, markers, rng)
    return protein.astype(np.float32) * tissue.expression
