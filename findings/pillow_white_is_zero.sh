#!/usr/bin/env bash
# Pillow 12.3.0 turns white-is-zero TIFFs of 8 bits around, and leaves those of 16 bits
#
# Software: Pillow 12.3.0; the files are written by tifffile 2026.3.3 (numpy 2.4.6).
# Behaviour: a TIFF whose photometric interpretation is MINISWHITE is inverted on
#   reading when it has 8 bits (0 becomes 255), and read as stored when it has 16 bits,
#   in a mode, I;16, that means black-is-zero. No error and no warning.
# Expected: one or the other. By TIFF 6.0 WhiteIsZero means that 0 is imaged as white at
#   any number of bits, so 0 of 16 bits should become 65535.
# Consequence: the same field of cells, saved by the same camera or gel scanner in 8 and
#   in 16 bits, has bright cells on black in one and black cells on bright in the other;
#   segmentation and intensities of the second are those of the negative.
# Way around: look at image.tag_v2[262], the photometric interpretation, and invert
#   yourself; or read with tifffile, which inverts neither and tells by .photometric.
# Output seen:
#   uint8  stored [0, 1, 200] read [255, 254, 55] mode L
#   uint16 stored [0, 1, 200] read [0, 1, 200] mode I;16
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check \
    pillow==12.3.0 tifffile==2026.3.3 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'EOF'
import numpy as np
import tifffile
from PIL import Image

stored = [0, 1, 200]
seen = {}
for kind in ("uint8", "uint16"):
    tifffile.imwrite("a.tif", np.array([stored], kind), photometric="miniswhite")
    with Image.open("a.tif") as image:
        assert image.tag_v2[262] == 0  # WhiteIsZero
        seen[kind] = np.asarray(image)[0].tolist(), image.mode
    print(f"{kind:6} stored {stored} read {seen[kind][0]} mode {seen[kind][1]}")

assert seen["uint8"] == ([255, 254, 55], "L"), "changed: 8 bits"
assert seen["uint16"] == (stored, "I;16"), "changed: 16 bits"
EOF
