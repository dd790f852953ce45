#!/usr/bin/env bash
# bioio-czi 3.0.1 gives the colours of a CZI as blue, green, red
#
# Software: bioio 3.6.0 with bioio-czi 3.0.1; the CZI is written by pylibCZIrw 6.1.0 and
#   read for comparison by czifile 2019.7.2.3 (numpy 2.4.6).
# Behaviour: CZI stores colour pixels as Bgr24, in the order blue, green, red. bioio-czi
#   hands them out in that order along the axis S of samples, with no warning.
# Expected: red, green, blue, as czifile gives them (its change log says that it turns
#   BGR into RGB), and as bioio gives the samples of PNG, JPEG and TIFF. bioio's writer
#   of OME-TIFF takes S for RGB data, and marks the file as RGB.
# Consequence: in a section stained with haematoxylin and eosin the blue nuclei are brown
#   and the pink cytoplasm is violet. What separates stains by colour, or was trained on
#   RGB, measures another stain; in a composite two stains change places.
# Way around: reverse the axis S of images from CZI, data[..., ::-1], before all else.
# Output seen (one pixel of a red picture):
#   czifile [200, 20, 10]
#   bioio   [10, 20, 200]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --no-compile --disable-pip-version-check bioio==3.6.0 \
    bioio-czi==3.0.1 pylibCZIrw==6.1.0 czifile==2019.7.2.3 imagecodecs==2026.3.6 \
    tifffile==2026.3.3 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" -W ignore - <<'EOF'
import bioio_czi
import czifile
import numpy as np
from bioio import BioImage
from pylibCZIrw import czi

red, green, blue = 200, 20, 10
stored = np.empty((32, 48, 3), np.uint8)
stored[:] = blue, green, red  # The order of Bgr24.
with czi.create_czi("red.czi") as file:
    file.write(stored, plane={"C": 0, "Z": 0, "T": 0})
with czi.open_czi("red.czi") as file:
    assert file.get_channel_pixel_type(0) == "Bgr24"

other = czifile.imread("red.czi").reshape(-1, 3)[0].tolist()
image = BioImage("red.czi", reader=bioio_czi.Reader)
read = image.get_image_data("YXS")[0, 0].tolist()
print("czifile", other)
print("bioio  ", read)

assert other == [red, green, blue], "changed: czifile"
assert read == [blue, green, red], "changed: bioio"
EOF
