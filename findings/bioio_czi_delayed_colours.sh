#!/usr/bin/env bash
# bioio-czi 3.0.1: read through dask, a colour CZI has its first sample three times
#
# Software: bioio 3.6.0 with bioio-czi 3.0.1 and bioio-ome-tiff 1.4.0; the CZI is written
#   by pylibCZIrw 6.1.0 (numpy 2.4.6, dask 2026.8.0).
# Behaviour: BioImage.data of a colour CZI has three different samples a pixel.
#   BioImage.dask_data, of the same shape and type, repeats the first of them three
#   times. BioImage.save reads through dask, so the OME-TIFF is grey. No error and no
#   warning.
# Expected: dask_data.compute() equals data. The documentation describes both as the
#   image, and recommends dask_data for large ones. A saved copy has the same colours.
# Consequence: slides of stained tissue are read through dask, as they are large: all
#   stains but one are lost, and what is left looks like a normal grey picture. A
#   composite of three stains becomes three times the same.
# Way around: BioImage.data or get_image_data, and OmeTiffWriter.save of that array.
# Output seen (one pixel):
#   data            [10, 20, 200]
#   dask_data       [10, 10, 10]
#   saved OME-TIFF  [10, 10, 10]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --no-compile --disable-pip-version-check bioio==3.6.0 \
    bioio-czi==3.0.1 bioio-ome-tiff==1.4.0 pylibCZIrw==6.1.0 dask==2026.8.0 \
    tifffile==2026.3.3 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -W ignore - <<'EOF'
import bioio_czi
import numpy as np
import tifffile
from bioio import BioImage
from pylibCZIrw import czi

stored = np.empty((32, 48, 3), np.uint8)
stored[:] = 10, 20, 200
with czi.create_czi("slide.czi") as file:
    file.write(stored, plane={"C": 0, "Z": 0, "T": 0})
with czi.open_czi("slide.czi") as file:
    assert np.array_equal(file.read(plane={"C": 0, "Z": 0, "T": 0}), stored)


def opened():
    return BioImage("slide.czi", reader=bioio_czi.Reader)


whole, delayed = opened().data, opened().dask_data.compute()
assert whole.shape == delayed.shape and whole.dtype == delayed.dtype
opened().save("slide.ome.tif")
saved = tifffile.imread("slide.ome.tif")
print("data           ", whole[0, 0, 0, 0, 0].tolist())
print("dask_data      ", delayed[0, 0, 0, 0, 0].tolist())
print("saved OME-TIFF ", saved[0, 0].tolist())

assert np.array_equal(whole[0, 0, 0], stored), "changed: data"
repeated = np.repeat(stored[..., :1], 3, axis=-1)
assert np.array_equal(delayed[0, 0, 0], repeated), "changed: dask_data"
assert np.array_equal(saved, repeated), "changed: save"
EOF
