#!/usr/bin/env bash
# Keras 3.15.1 loads 12-bit camera images from a folder with 16 grey levels
#
# Software: keras 3.15.1 with tensorflow 2.21.0, pillow 12.3.0 (numpy 2.4.6).
# Behaviour: keras.utils.image_dataset_from_directory keeps the upper 8 of the 16 bits
#   of a PNG. Images of a 12-bit camera, 0 to 4095 in a PNG of 16 bits, have the values
#   0 to 15. keras.utils.load_img of the same file gives 0 to 4095 for "grayscale", and
#   0 to 255 for "rgb", where all above 255 is cut off. Nothing warns.
# Expected: PNG is among the formats that the documentation lists, with no word on
#   depths; two functions of one module that load an image as float32 should agree.
# Consequence: dim stains vanish: what is below 256 becomes 0, and what is left has steps
#   of 6 % of the range. A network trains on that without a complaint, and a network
#   trained by one function and used with the other sees values 273 times larger.
# Way around: keras.utils.load_img(..., color_mode="grayscale") or tf.io.decode_png(...,
#   dtype=tf.uint16) in a tf.data pipeline of one's own.
# Output seen:
#   image_dataset_from_directory: 16 levels up to 15
#   load_img grayscale: 4096 levels up to 4095
#   load_img rgb: 256 levels up to 255
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --no-compile --disable-pip-version-check \
    keras==3.15.1 tensorflow==2.21.0 pillow==12.3.0 numpy==2.4.6
cd "$work"
export TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES=-1
"$work/venv/bin/python" - <<'EOF'
import pathlib

import keras
import numpy as np
import tensorflow as tf

ramp = np.arange(4096, dtype=np.uint16).reshape(64, 64, 1)
for group in ("treated", "control"):
    folder = pathlib.Path("images", group)
    folder.mkdir(parents=True)
    (folder / "cell.png").write_bytes(tf.io.encode_png(ramp).numpy())

seen = {}
batches = keras.utils.image_dataset_from_directory(
    "images", color_mode="grayscale", image_size=(64, 64), verbose=False
)
seen["image_dataset_from_directory"] = next(iter(batches))[0][0].numpy()
for mode in ("grayscale", "rgb"):
    image = keras.utils.load_img("images/treated/cell.png", color_mode=mode)
    seen[f"load_img {mode}"] = keras.utils.img_to_array(image)
levels = {name: (len(np.unique(image)), int(image.max())) for name, image in seen.items()}
for name, (number, most) in levels.items():
    print(f"{name}: {number} levels up to {most}")

assert levels["image_dataset_from_directory"] == (16, 15), "changed: the folder"
assert levels["load_img grayscale"] == (4096, 4095), "changed: grayscale"
assert levels["load_img rgb"] == (256, 255), "changed: rgb"
EOF
