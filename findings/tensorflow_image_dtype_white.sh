#!/usr/bin/env bash
# TensorFlow 2.21: a saturated image of 8 bits is no longer saturated in 16 bits
#
# Software: tensorflow 2.21.0 (numpy 2.4.6).
# Behaviour: tf.image.convert_image_dtype from uint8 to uint16 multiplies by 256, so 255
#   becomes 65280. tf.io.decode_png of the same picture with dtype=uint16 gives 65535,
#   and convert_image_dtype by way of float32 gives 65535 as well. saturate=True changes
#   nothing.
# Expected: the documentation of convert_image_dtype says that images of whole numbers
#   have values in [0, MAX], MAX being the largest of the type, and that values are
#   scaled accordingly: MAX belongs to MAX. So does the PNG specification (samples of
#   8 bits are scaled to 16 by 257).
# Consequence: crops of 8 bits that are converted are 0.4 % darker than the same crops
#   that are decoded as 16 bits or came by way of floats: a shift that a model can learn
#   as a sign of the source. Masks `image == 65535` for saturated pixels find none.
# Way around: convert to float32 and then to uint16, or multiply by 257.
# Output seen:
#   decode_png 65535, by way of float32 65535, direct 65280, as float32 0.99611
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --no-compile --disable-pip-version-check \
    tensorflow==2.21.0 numpy==2.4.6
cd "$work"
export TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES=-1
"$work/venv/bin/python" - <<'EOF'
import tensorflow as tf

white = tf.fill([4, 4, 1], tf.constant(255, tf.uint8))
convert = tf.image.convert_image_dtype
decoded = tf.io.decode_png(tf.io.encode_png(white), dtype=tf.uint16)
by_float = convert(convert(white, tf.float32), tf.uint16, saturate=True)
direct = convert(white, tf.uint16, saturate=True)
level = float(convert(direct, tf.float32)[0, 0, 0])
values = [int(image[0, 0, 0]) for image in (decoded, by_float, direct)]
print(
    f"decode_png {values[0]}, by way of float32 {values[1]}, direct {values[2]}, "
    f"as float32 {level:.5f}"
)

assert values[:2] == [65535, 65535], "changed: the other ways"
assert values[2] == 65280 == int(convert(white, tf.uint16)[0, 0, 0]), "changed: direct"
assert level < 0.997, "changed: float"
EOF
