#!/usr/bin/env bash
# bioio 3.6.0: save() of an OME-TIFF in nanometres writes pixels a thousand times larger
#
# Software: bioio 3.6.0 with bioio-ome-tiff 1.4.0; the file is written by tifffile
#   2026.3.3 (numpy 2.4.6).
# Behaviour: BioImage("in.ome.tif").save("out.ome.tif") keeps the numbers of the pixel
#   sizes and drops their units. The OME-XML of the copy has no unit, and by the OME
#   schema that means micrometres. No error and no warning.
# Expected: a copy of the image within one library and one format has the same physical
#   size. The OME schema gives each PhysicalSize its own unit. (bioio says that
#   physical_pixel_sizes has no units; it says nothing like that of save.)
# Consequence: cells of 10 micrometres become 10 millimetres wide in the copy, so that
#   areas are wrong by 10**6; with X and Y in nanometres and Z in micrometres, as here,
#   the shape of the voxels is wrong as well.
# Way around: convert the sizes with the units of BioImage.ome_metadata and write with
#   OmeTiffWriter.save(..., physical_pixel_sizes=...), which takes micrometres.
# Output seen:
#   in.ome.tif  X 65.0 nm, Z 0.2 µm
#   out.ome.tif X 65.0 µm, Z 0.2 µm
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check \
    bioio==3.6.0 bioio-ome-tiff==1.4.0 ome-types==0.7.0 tifffile==2026.3.3 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -W ignore - <<'EOF'
import numpy as np
import ome_types
import tifffile
from bioio import BioImage

stack = np.arange(3 * 8 * 8, dtype=np.uint16).reshape(3, 8, 8)
sizes = {"PhysicalSizeX": 65, "PhysicalSizeY": 65, "PhysicalSizeZ": 0.2}
units = {f"{size}Unit": "nm" for size in ("PhysicalSizeX", "PhysicalSizeY")}
units["PhysicalSizeZUnit"] = "µm"
tifffile.imwrite("in.ome.tif", stack, metadata={"axes": "ZYX", **sizes, **units})

BioImage("in.ome.tif").save("out.ome.tif")
assert np.array_equal(BioImage("out.ome.tif").data.squeeze(), stack)
found = {}
for name in ("in.ome.tif", "out.ome.tif"):
    pixels = ome_types.from_tiff(name).images[0].pixels
    x = pixels.physical_size_x, pixels.physical_size_x_unit.value
    z = pixels.physical_size_z, pixels.physical_size_z_unit.value
    found[name] = x
    print(f"{name:11} X {x[0]} {x[1]}, Z {z[0]} {z[1]}")

assert found["in.ome.tif"] == (65, "nm")
assert found["out.ome.tif"] == (65, "µm"), "changed: the unit or the number"
EOF
