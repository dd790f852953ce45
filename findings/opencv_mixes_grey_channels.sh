#!/usr/bin/env bash
# OpenCV 5.0.0 mixes the channels of a grey TIFF into one, although told to change nothing
#
# Software: opencv-python-headless 5.0.0.93; the files are written by tifffile 2026.3.3
#   (numpy 2.4.6).
# Behaviour: cv2.imread(name, cv2.IMREAD_UNCHANGED) gives one channel of a TIFF that is
#   MINISBLACK with several samples a pixel. Which one depends on type and number: of 8
#   bits the first channel; of 16 bits and three or four channels a weighted sum, the
#   luminance of channels 1 to 3 taken for colours; of 16 bits and two channels the
#   upper 8 bits of the first. No error and no warning.
# Expected: the documentation says that IMREAD_UNCHANGED returns the loaded image as it
#   is; so all channels in 16 bits, as for a TIFF marked RGB; or None, as for five.
# Consequence: an image of three stains loads as a picture of plausible cells in which
#   each pixel blends all stains; a dim 12-bit image of two stains loads as 16 levels.
# Way around: tifffile.imread. Looking only at the shape, [H, W], tells nothing.
# Output seen (a pixel of 200, 4000, 1800 and 800, or a 20th of it in 8 bits):
#   2 channels uint8  -> 10 as uint8      2 channels uint16 -> 0 as uint8
#   3 channels uint8  -> 10 as uint8      3 channels uint16 -> 2613 as uint16
#   4 channels uint8  -> 10 as uint8      4 channels uint16 -> 2613 as uint16
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check \
    opencv-python-headless==5.0.0.93 tifffile==2026.3.3 numpy==2.4.6
cd "$work"
"$work/venv/bin/python" - <<'EOF'
import cv2
import numpy as np
import tifffile

pixel = np.array([200, 4000, 1800, 800])
seen = {}
for channels in (2, 3, 4):
    for kind, divisor in (("uint8", 20), ("uint16", 1)):
        image = np.empty((8, 12, channels), kind)
        image[:] = pixel[:channels] // divisor
        tifffile.imwrite(
            "a.tif", image, photometric="minisblack", planarconfig="contig", metadata=None
        )
        assert np.array_equal(tifffile.imread("a.tif"), image)
        read = cv2.imread("a.tif", cv2.IMREAD_UNCHANGED)
        assert read is not None and read.shape == (8, 12), "changed: another shape"
        seen[channels, kind] = int(read[0, 0]), read.dtype.name
        print(f"{channels} channels {kind:6} -> {read[0, 0]} as {read.dtype.name}")

mixed = round(0.299 * 200 + 0.587 * 4000 + 0.114 * 1800)
for channels in (2, 3, 4):
    assert seen[channels, "uint8"] == (10, "uint8"), "changed: 8 bits"
assert seen[2, "uint16"] == (200 >> 8, "uint8"), "changed: two channels"
assert seen[3, "uint16"] == seen[4, "uint16"] == (mixed, "uint16"), "changed: 16 bits"
EOF
