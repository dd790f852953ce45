#!/usr/bin/env bash
# scikit-image 0.26.0 turns a stack of three or four planes on its side, no other stack
#
# Software: scikit-image 0.26.0; the files are written by tifffile 2026.3.3 (numpy 2.4.6).
# Behaviour: skimage.io.imread of a Z stack gives [Z, H, W], unless Z is 3 or 4: then it
#   gives [H, W, Z], the stack taken for a colour image. It does so for ImageJ stacks
#   as well, whose description says that the planes are slices, and for four dimensions:
#   [T, 3, H, W] becomes [T, H, W, 3].
# Expected: the axes of a file follow from what it says, not from how many planes it
#   has. The documentation names M x N, M x N x 3 and M x N x 4 for grey and colour
#   images, and does not say that stacks are turned.
# Consequence: in a folder of stacks those of 3 or 4 slices differ from all others;
#   image.max(axis=0), the usual projection, gives a [W, Z] strip of them, and a loop
#   over slices goes over rows. A plane of 3 or 4 channels is affected likewise.
# Way around: tifffile.imread, or pages by tifffile.TiffFile(name).series[0].axes.
# Output seen:
#   2 slices (2, 20, 30)   3 slices (20, 30, 3)   4 slices (20, 30, 4)   5 slices (5, 20, 30)
#   6 times of 3 slices (6, 20, 30, 3)   6 times of 5 slices (6, 5, 20, 30)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check \
    scikit-image==0.26.0 tifffile==2026.3.3 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -W error - <<'EOF'
import numpy as np
import tifffile
from skimage import io

for slices in (2, 3, 4, 5):
    stack = np.random.default_rng(0).integers(0, 4096, (slices, 20, 30), np.uint16)
    tifffile.imwrite("stack.tif", stack, imagej=True, metadata={"axes": "ZYX"})
    with tifffile.TiffFile("stack.tif") as file:
        assert file.series[0].axes == "ZYX" and file.imagej_metadata["slices"] == slices
    read = io.imread("stack.tif")
    print(slices, "slices", read.shape, end="   ")
    expected = np.moveaxis(stack, 0, -1) if slices in (3, 4) else stack
    assert np.array_equal(read, expected), f"changed: {slices} slices"
print()
for slices, shape in ((3, (6, 20, 30, 3)), (5, (6, 5, 20, 30))):
    stack = np.zeros((6, slices, 20, 30), np.uint16)
    tifffile.imwrite("stack.tif", stack, imagej=True, metadata={"axes": "TZYX"})
    read = io.imread("stack.tif")
    print("6 times of", slices, "slices", read.shape, end="   ")
    assert read.shape == shape, "changed: times"
print()
EOF
