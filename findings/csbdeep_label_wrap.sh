#!/usr/bin/env bash
# csbdeep 0.8.2 saves label images with the numbers of different cells merged
#
# Software: csbdeep 0.8.2 (the input and output of StarDist), tifffile 2026.3.3, numpy 2.4.6.
# Behaviour: save_tiff_imagej_compatible turns labels of 32 bits into 16 bits by cutting
#   off the upper bits. int32, the type that StarDist's predictions have, becomes int16:
#   label 32768 becomes -32768, and label 65536 becomes 0, the background. It warns only
#   that the data type is converted, also where nothing is lost, and not that values
#   are changed.
# Expected: an error when the values do not fit, or float32, which an ImageJ TIFF can
#   have, to which this function turns float64, and which is exact up to 2**24.
# Consequence: in a mosaic or a time series of more than 65535 cells, cells vanish into
#   the background or share the number of another cell; from 32768 on they are negative,
#   so that `labels > 0` loses them.
# Way around: number the cells anew below 32768 (skimage.segmentation.relabel_sequential)
#   and cast to uint16, or write with tifffile.imwrite without imagej=True.
# Output seen:
#   int32  [0, 1, 32768, 65536, 65537] -> int16  [0, 1, -32768, 0, 1]
#   uint32 [0, 1, 32768, 65536, 65537] -> uint16 [0, 1, 32768, 0, 1]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check \
    csbdeep==0.8.2 tifffile==2026.3.3 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'EOF'
import warnings

import numpy as np
import tifffile
from csbdeep.io import save_tiff_imagej_compatible

numbers = [0, 1, 32768, 65536, 65537]
saved = {}
for kind in ("int32", "uint32"):
    labels = np.array([numbers], kind)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        save_tiff_imagej_compatible("labels.tif", labels, axes="YX")
    assert not any("overflow" in str(warning.message) for warning in said)
    read = tifffile.imread("labels.tif")
    saved[kind] = read[0].tolist()
    print(f"{kind:6} {numbers} -> {read.dtype.name:6} {saved[kind]}")

assert saved["int32"] == [0, 1, -32768, 0, 1], "changed: int32"
assert saved["uint32"] == [0, 1, 32768, 0, 1], "changed: uint32"
EOF
