"""What a nucleus looks like to the segmentation."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class NucleusSettings:
    """What a nucleus looks like; lengths in micrometres, areas in their squares.

    Brightness is of what the file's type holds, 0 to 1.

    Attributes:
        smoothing: Deviation of the Gaussian that the plane is smoothed with.
        dark: What is darker than this (smoothed) is smoothed farther.
        dark_smoothing: Deviation of the Gaussian that smooths it farther.
        neighbourhood: Deviation of the (nearly Gaussian) mean that a faint nucleus is
            brighter than.
        growth: How far the outline may lie from where the nucleus was first seen.
        outline: Where a nucleus ends: this share of the way from the background to its
            own brightness.
        largest_hole: Larger holes are background between nuclei.
        opening_radius: Threads thinner than twice this are cut off.
        smallest_area: What is smaller is no nucleus.
        least_contrast: How much brighter than around it a nucleus is.
        least_signal: The same, in deviations of the plane's noise.
        depth_smoothing: Deviation of the Gaussian on the distances to the outline.
        peak_distance: Least distance between the middles of two nuclei.
        least_depth: Least distance from a nucleus's middle to its outline.
        neck: Two nuclei are one if the neck between them is wider than this share of
            the smaller one.
        convex: What has a smaller solidity may be several nuclei: it is split again,
            first along dark lines, then at its clefts.
        more_convex: How much greater the mean solidity of the parts must be.
        smallest_part: Smaller parts stay with their neighbours.
        gap: How much darker than both its sides a dark line is, as a share of the
            nucleus's brightness.
        gap_width: Dark lines are narrower.
        concave_neck: As `neck`, when splitting at clefts.
        concave_peak_distance: As `peak_distance`, when splitting at clefts.
        cleft: How deep a cleft is.
    """

    smoothing: float = 0.48
    dark: float = 0.03
    dark_smoothing: float = 0.8
    neighbourhood: float = 8.0
    growth: float = 1.6
    outline: float = 0.4
    largest_hole: float = 30.0
    opening_radius: float = 0.64
    smallest_area: float = 15.4
    least_contrast: float = 0.003
    least_signal: float = 1.0
    depth_smoothing: float = 0.64
    peak_distance: float = 3.2
    least_depth: float = 0.7
    neck: float = 0.85
    convex: float = 0.95
    more_convex: float = 0.02
    smallest_part: float = 30.0
    gap: float = 0.15
    gap_width: float = 2.2
    concave_neck: float = 0.95
    concave_peak_distance: float = 2.0
    cleft: float = 0.7
