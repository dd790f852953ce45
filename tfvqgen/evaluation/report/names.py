"""What people call what is measured."""

SET_NAMES = {
    "generated": "generated cells",
    "reconstructions": "reconstructions",
    "real": "other real crops",
}
STATISTIC_NAMES = {
    "nucleus_area": "Area of the nucleus",
    "protein_inside_nucleus": "Share of the protein in the nucleus",
    "protein_distance": "Distance of the protein from the nucleus",
    "protein_granularity": "Share of the protein in grains",
}
