#!/usr/bin/env bash
# TensorFlow 2.21: the gradient of a bias stops at 256 in bfloat16, but not that of a sum
#
# Software: tensorflow 2.21.0 with keras 3.15.1 on CPU (numpy 2.4.6).
# Behaviour: the gradient of tf.nn.bias_add in bfloat16 adds the pixels one by one in
#   bfloat16, where 256 + 1 is 256. The gradient of `images + bias` is right. In float16
#   it is the other way round: bias_add is right, and `+` stops at 2048 where there are 2
#   to 4 channels. No warning.
# Expected: the same gradient of the same sum, and the right one, as the whole numbers
#   8192 and 2048 are exact in both types. Other sums over pixels in TensorFlow
#   (tf.reduce_sum, the kernel gradient of the same convolution) are taken in float32.
# Consequence: Keras' Conv2D uses bias_add. Trained with the policy mixed_bfloat16, the
#   bias of a layer that sees 8 crops of 32 x 32 gets a gradient 32 times too small,
#   while the kernel's is right; the larger the images, the less the biases learn.
# Way around: use_bias=False and a layer of one's own that adds the bias with `+` in
#   bfloat16, or biases in float32 (cast before adding).
# Output seen (8192 pixels of 4 channels, each with gradient 1):
#   float32  bias_add 8192  sum 8192
#   float16  bias_add 8192  sum 2048
#   bfloat16 bias_add 256  sum 8192
#   Conv2D in mixed_bfloat16: kernel 8192, bias 256
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
import tensorflow as tf

pixels = 8 * 32 * 32
found = {}
for kind in ("float32", "float16", "bfloat16"):
    images, bias = tf.zeros([8, 32, 32, 4], kind), tf.Variable(tf.zeros([4], kind))
    with tf.GradientTape(persistent=True) as tape:
        added = tf.reduce_sum(tf.nn.bias_add(images, bias))
        plus = tf.reduce_sum(images + bias)
    found[kind] = [int(tape.gradient(total, bias)[0]) for total in (added, plus)]
    print(f"{kind:8} bias_add {found[kind][0]}  sum {found[kind][1]}")

layer = keras.layers.Conv2D(4, 1, dtype="mixed_bfloat16")
layer.build((None, 32, 32, 1))
with tf.GradientTape() as tape:
    total = tf.reduce_sum(layer(tf.ones([8, 32, 32, 1])))
gradients = tape.gradient(total, layer.trainable_variables)
kernel, bias = (int(tf.reshape(gradient, [-1])[0]) for gradient in gradients)
print(f"Conv2D in mixed_bfloat16: kernel {kernel}, bias {bias}")

assert found["float32"] == [pixels, pixels], "changed: float32"
assert found["float16"][0] == pixels > found["float16"][1], "changed: float16"
assert found["bfloat16"][0] < pixels == found["bfloat16"][1], "changed: bfloat16"
assert bias < pixels == kernel, "changed: Conv2D"
EOF
