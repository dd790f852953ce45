#!/usr/bin/env bash
# bioio 3.6.0: an OME-Zarr of three channels has one channel name until its pixels are read
#
# Software: bioio 3.6.0 with bioio-ome-zarr 3.8.1; the image is written by ome-zarr 0.18.0
#   (zarr 3.1.6, numpy 2.4.6).
# Behaviour: for an OME-Zarr without the block "omero", BioImage.channel_names has one
#   name, whatever the number of channels; after anything that touches the pixels (data,
#   xarray_data, ...) the same property of the same object has them all. No warning.
# Expected: one name a channel, at any time; BioImage.dims already counts three. OME-NGFF
#   0.4 and 0.5 make "omero" optional, and ome-zarr does not write it by default.
# Consequence: the usual loop `for index, name in enumerate(image.channel_names)` around
#   the reading of each channel, or a table of a folder made without reading pixels,
#   quietly has the first stain only. Adding a line that looks at the data, in search
#   of the fault, makes it go away.
# Way around: read image.xarray_dask_data before channel_names, or count by dims.C.
# Output seen:
#   dims.C 3
#   channel_names before ['Channel:image:0']
#   channel_names after  ['Channel:image:0', 'Channel:image:1', 'Channel:image:2']
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --no-compile --disable-pip-version-check \
    bioio==3.6.0 bioio-ome-zarr==3.8.1 ome-zarr==0.18.0 zarr==3.1.6 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -W ignore - <<'EOF'
import numpy as np
from bioio import BioImage
from ome_zarr.writer import write_image

stains = np.stack([np.full((16, 16), value, np.uint16) for value in (10, 20, 30)])
write_image(stains, "cells.zarr", axes="cyx")

image = BioImage("cells.zarr")
print("dims.C", image.dims.C)
before = [str(name) for name in image.channel_names]
assert np.array_equal(image.data[0, :, 0], stains)
after = [str(name) for name in image.channel_names]
print("channel_names before", before)
print("channel_names after ", after)

assert image.dims.C == 3 and len(after) == 3, "changed: after"
assert before == after[:1], "changed: before"
EOF
