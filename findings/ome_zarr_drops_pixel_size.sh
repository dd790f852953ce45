#!/usr/bin/env bash
# ome-zarr 0.18.0 reads images without the transformation that holds for all resolutions
#
# Software: ome-zarr 0.18.0 with zarr 3.1.6, beside bioio 3.6.0 with bioio-ome-zarr 3.8.1
#   (numpy 2.4.6).
# Behaviour: ome_zarr.reader.Reader gives the coordinateTransformations of the datasets
#   and leaves out those of the whole multiscale image. No error and no warning.
# Expected: OME-NGFF 0.4 and 0.5 let an image carry coordinateTransformations beside
#   "datasets", which apply to every resolution after those of the dataset, so that the
#   size of a pixel is the product of both. bioio-ome-zarr multiplies them. (The metadata
#   of the reader have no other place where the second could be found.)
# Consequence: a file that keeps the downsampling by dataset and the size once for all,
#   as the example in the specification does for time, has pixels of 1 instead of 65
#   nanometres in all that builds on this reader: lengths are wrong by 65, areas by 4225.
# Way around: multiply by the transformations in the attribute "multiscales" of the
#   group yourself, or read with bioio.
# Output seen:
#   file: dataset scale [1, 1, 1], image scale [1, 65, 65], nanometer
#   ome_zarr [[{'type': 'scale', 'scale': [1, 1, 1]}]]
#   bioio Y=65 X=65
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check ome-zarr==0.18.0 \
    zarr==3.1.6 bioio==3.6.0 bioio-ome-zarr==3.8.1 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -W ignore - <<'EOF'
import zarr
from bioio import BioImage
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader

group = zarr.open_group("cells.zarr", mode="w", zarr_format=2)
group.create_array("0", shape=(2, 16, 16), chunks=(1, 16, 16), dtype="uint16")
space = {"type": "space", "unit": "nanometer"}
group.attrs["multiscales"] = [
    {
        "version": "0.4",
        "axes": [
            {"name": "c", "type": "channel"}, {"name": "y", **space}, {"name": "x", **space}
        ],
        "datasets": [
            {
                "path": "0",
                "coordinateTransformations": [{"type": "scale", "scale": [1, 1, 1]}],
            }
        ],
        "coordinateTransformations": [{"type": "scale", "scale": [1, 65, 65]}],
    }
]
print("file: dataset scale [1, 1, 1], image scale [1, 65, 65], nanometer")
(node,) = Reader(parse_url("cells.zarr"))()
print("ome_zarr", node.metadata["coordinateTransformations"])
sizes = BioImage("cells.zarr").physical_pixel_sizes
print(f"bioio Y={sizes.Y:g} X={sizes.X:g}")

assert (sizes.Y, sizes.X) == (65, 65), "changed: bioio"
scale = node.metadata["coordinateTransformations"][0]
assert scale == [{"type": "scale", "scale": [1, 1, 1]}], "changed: datasets"
assert "65" not in str(node.metadata), "changed: the other transformation is there"
EOF
