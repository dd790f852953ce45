#!/usr/bin/env bash
# mahotas 1.4.19: the sum of a cell's pixels wraps around in the type of the image
#
# Software: mahotas 1.4.19, beside scipy 1.17.1 (numpy 2.4.6).
# Behaviour: mahotas.labeled_sum adds the pixels of each label in the type of the image.
#   In an image of 8 bits every sum is taken modulo 256, in one of 16 bits modulo 65536.
#   No error and no warning.
# Expected: its documentation takes an array of any type and says that sum[i] equals
#   np.sum(array[labeled == i]), which adds in 64 bits. That is broken here. (It also
#   says that the result has the type of the array; both cannot hold.)
# Consequence: integrated intensities, the usual measure of a stain in a cell, are noise
#   for any camera image: a cell of 400 pixels of value 200 has 80000, and gets 128.
# Way around: mahotas.labeled_sum(image.astype(float), labels), or scipy.ndimage.sum_labels.
# Output seen:
#   uint8   mahotas [128, 0]   numpy [80000, 51200]
#   uint16  mahotas [14464, 51200]   numpy [80000, 51200]
#   float64 mahotas [80000.0, 51200.0]   numpy [80000, 51200]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check \
    mahotas==1.4.19 scipy==1.17.1 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'EOF'
import mahotas
import numpy as np
from scipy import ndimage

cells = np.zeros((40, 60), np.int32)
cells[5:25, 5:25] = 1  # 400 pixels
cells[10:26, 35:51] = 2  # 256 pixels
right = [400 * 200, 256 * 200]
sums = {}
for kind in ("uint8", "uint16", "float64"):
    image = np.full(cells.shape, 200, kind)
    assert [int(image[cells == label].sum()) for label in (1, 2)] == right
    assert ndimage.sum_labels(image, cells, [1, 2]).tolist() == right
    sums[kind] = mahotas.labeled_sum(image, cells)[1:].tolist()
    print(f"{kind:7} mahotas {sums[kind]}   numpy {right}")

assert sums["float64"] == right, "changed: floats are wrong too"
assert sums["uint8"] == [sum % 2**8 for sum in right], "changed: uint8"
assert sums["uint16"] == [sum % 2**16 for sum in right], "changed: uint16"
EOF
