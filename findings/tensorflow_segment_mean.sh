#!/usr/bin/env bash
# TensorFlow 2.21: segment_mean, the mean of each cell's pixels, is wrong for camera images
#
# Software: tensorflow 2.21.0 on CPU (numpy 2.4.6).
# Behaviour: tf.math.segment_mean adds the values of a segment in the type of the data,
#   and divides after that. For uint8 the sum is taken modulo 256, for uint16 modulo
#   65536; for bfloat16 it is rounded at each step. No error.
# Expected: the documentation gives mean = sum / N, allows uint8, uint16 and bfloat16 in
#   its list of types, and says nothing of overflow. tf.reduce_mean, of the same values
#   and types, is right: a mean never leaves the range of its values.
# Consequence: the mean intensity of each cell of a label image, the first thing that is
#   measured, comes out as 0 for a cell of 400 pixels that all are 200.
# Way around: tf.math.segment_mean(tf.cast(pixels, tf.float32), cells).
# Output seen (cells of 400 and 225 pixels, all of 200):
#   uint8     segment_mean [0, 0]   reduce_mean [200, 200]
#   uint16    segment_mean [36, 200]   reduce_mean [200, 200]
#   bfloat16  segment_mean [164, 232]   reduce_mean [200, 200]
#   float32   segment_mean [200, 200]   reduce_mean [200, 200]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --no-compile --disable-pip-version-check \
    tensorflow==2.21.0 numpy==2.4.6
cd "$work"
export TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES=-1
"$work/venv/bin/python" - <<'EOF'
import numpy as np
import tensorflow as tf

cells = np.repeat([0, 1], [400, 225])  # The cell of each pixel.
means = {}
for kind in ("uint8", "uint16", "bfloat16", "float32"):
    pixels = tf.cast(tf.fill([625], 200), kind)
    single = [int(tf.reduce_mean(pixels[cells == cell])) for cell in (0, 1)]
    means[kind] = [int(mean) for mean in tf.math.segment_mean(pixels, cells)]
    print(f"{kind:9} segment_mean {means[kind]}   reduce_mean {single}")
    assert single == [200, 200], "changed: reduce_mean"

assert means["float32"] == [200, 200], "changed: float32"
assert means["uint8"] == [400 * 200 % 256 // 400, 225 * 200 % 256 // 225], "changed"
assert means["uint16"] == [400 * 200 % 65536 // 400, 200], "changed: uint16"
assert abs(means["bfloat16"][0] - 200) > 10, "changed: bfloat16"
EOF
