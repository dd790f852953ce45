#!/usr/bin/env bash
# SimpleITK 2.5.7 reads a grey TIFF of several samples a pixel as one garbled channel
#
# Software: SimpleITK 2.5.7; the file is written by tifffile 2026.3.3 (numpy 2.4.6).
# Behaviour: a TIFF whose photometric interpretation is MINISBLACK and that has two
#   samples a pixel, stored together (chunky), is read as an image of one component. Its
#   rows hold the samples of both channels in turn, and stop after the first half of the
#   field. No error and no warning.
# Expected: two components a pixel, as for an RGB TIFF and as for the TIFF of two
#   components that SimpleITK writes itself; or an error. TIFF 6.0 allows extra samples
#   beside any photometric interpretation, and this is how chunky channels are stored.
# Consequence: a field of two stains has the right size and plausible values, but every
#   other column is the other stain, and the right half of the cells is gone.
# Way around: read with tifffile and pass the array to GetImageFromArray, or write pages
#   (one channel a page), which SimpleITK reads as they are.
# Output seen:
#   file: channel 0 row 0 [100 101 102 103 104 105], channel 1 row 0 [900 901 902 903 904 905]
#   read: 1 component, row 0 [100 900 101 901 102 902]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check \
    simpleitk==2.5.7 tifffile==2026.3.3 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'EOF'
import numpy as np
import SimpleITK as sitk
import tifffile

ramp = np.arange(24, dtype=np.uint16).reshape(4, 6)
field = np.stack([100 + ramp, 900 + ramp], axis=-1)  # [H, W, 2]
tifffile.imwrite(
    "field.tif", field, photometric="minisblack", planarconfig="contig", metadata=None
)
assert np.array_equal(tifffile.imread("field.tif"), field)
print("file: channel 0 row 0", field[0, :, 0], "channel 1 row 0", field[0, :, 1])

image = sitk.ReadImage("field.tif")
pixels = sitk.GetArrayFromImage(image)
print("read:", image.GetNumberOfComponentsPerPixel(), "component, row 0", pixels[0])

# What SimpleITK writes of the same field comes back whole.
sitk.WriteImage(sitk.GetImageFromArray(field, isVector=True), "own.tif")
assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage("own.tif")), field)

assert image.GetNumberOfComponentsPerPixel() == 1, "changed: all channels are read"
assert pixels.shape == (4, 6), "changed: another shape"
assert np.array_equal(pixels[0], field[0, :3].ravel()), "changed: other values"
EOF
