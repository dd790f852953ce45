#!/usr/bin/env bash
# TensorFlow 2.21: the mean of a half-float image of 256 x 256 pixels is 0 or not a number
#
# Software: tensorflow 2.21.0 with keras 3.15.1 on CPU (numpy 2.4.6).
# Behaviour: tf.reduce_mean of float16 over 65536 values or more, all axes or a long
#   one, gives 0 or nan, though every value is 0.5 or 1. Over 65025 values (255 x 255) it
#   is right. tf.math.reduce_std follows it. The count of the values is as it seems taken
#   as a half float, whose largest number is 65504. With jit_compile=True it is right.
# Expected: 0.5 and 1, which half floats hold exactly; the documentation gives the mean
#   and allows any numeric type. keras.ops.mean gives them for the same tensor.
# Consequence: in mixed precision a mean over an image (a loss, a brightness, a gate)
#   becomes 0, which no check for nan finds, as soon as crops have 256 pixels a side.
# Way around: cast to float32 before the mean, or keras.ops.mean.
# Output seen:
#   255 x 255 of 0.5: tf 0.5 keras 0.5      255 x 255 of 1.0: tf 1.0 keras 1.0
#   256 x 256 of 0.5: tf 0.0 keras 0.5      256 x 256 of 1.0: tf nan keras 1.0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --no-compile --disable-pip-version-check \
    tensorflow==2.21.0 keras==3.15.1 numpy==2.4.6
cd "$work"
export TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES=-1
"$work/venv/bin/python" - <<'EOF'
import keras
import numpy as np
import tensorflow as tf

means = {}
for side in (255, 256):
    for value in (0.5, 1.0):
        image = tf.fill([side, side], tf.constant(value, tf.float16))
        means[side, value] = float(tf.reduce_mean(image))
        right = float(keras.ops.mean(image))
        print(f"{side} x {side} of {value}: tf {means[side, value]} keras {right}")
        assert right == value, "changed: keras"

compiled = tf.function(tf.reduce_mean, jit_compile=True)
assert float(compiled(tf.ones([256, 256], tf.float16))) == 1, "changed: compiled"
assert means[255, 0.5] == 0.5 and means[255, 1.0] == 1, "changed: smaller images"
assert means[256, 0.5] == 0, "changed: 0.5 of 256 x 256"
assert np.isnan(means[256, 1.0]), "changed: 1 of 256 x 256"
EOF
