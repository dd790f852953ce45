#!/usr/bin/env bash
# SimpleITK 2.5.7 reads a TIFF of half floats as whole numbers
#
# Software: SimpleITK 2.5.7; the file is written by tifffile 2026.3.3 (numpy 2.4.6).
# Behaviour: a TIFF of IEEE floating point samples (SampleFormat 3) of 16 bits is read
#   as unsigned whole numbers: the bits of each half float, taken as a uint16. No error
#   and no warning.
# Expected: the values, as for samples of 32 bits, or an error, as for those of 64 bits.
#   The tag SampleFormat says what the samples are, and TIFF Technical Note 3 defines
#   floating point samples of 16 bits.
# Consequence: normalised images or probability maps of a network, stored as half floats
#   to save space, come back as numbers near 15000. The order of positive values is kept,
#   so a picture looks right, while thresholds, means and sums are meaningless, and the
#   negative values become the largest.
# Way around: store 32 bits, or read with tifffile.
# Output seen:
#   written [0.0, 0.25, 0.5, 1.0, -1.0]
#   read    [0, 13312, 14336, 15360, 48128] as 16-bit unsigned integer
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

values = np.array([[0, 0.25, 0.5, 1, -1]])
for bits in (16, 32):
    tifffile.imwrite(f"{bits}.tif", values.astype(f"float{bits}"))
    assert int(tifffile.TiffFile(f"{bits}.tif").pages[0].sampleformat) == 3
    assert np.array_equal(tifffile.imread(f"{bits}.tif"), values)

assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage("32.tif")), values)
image = sitk.ReadImage("16.tif")
read = sitk.GetArrayFromImage(image)
print("written", values[0].tolist())
print("read   ", read[0].tolist(), "as", image.GetPixelIDTypeAsString())

assert read.dtype == np.uint16, "changed: another type"
assert np.array_equal(read, values.astype(np.float16).view(np.uint16)), "changed"
EOF
