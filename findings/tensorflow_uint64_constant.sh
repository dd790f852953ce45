#!/usr/bin/env bash
# TensorFlow 2.21: the same constant of 64-bit numbers has other values in a tf.function
#
# Software: tensorflow 2.21.0 (numpy 2.4.6).
# Behaviour: tf.constant(numbers, tf.uint64) of a Python list is exact when run eagerly.
#   In a tf.function, and in tf.make_tensor_proto, with which requests to TensorFlow
#   Serving are made, numbers of 2**63 and above that stand in a list beside smaller
#   ones are rounded to a multiple of 2048. No error and no warning.
# Expected: the numbers given, all of which a uint64 holds. A tf.function is documented
#   to compute what its Python code computes eagerly.
# Consequence: hashes are common as names of cells, images and wells. Half of all hashes
#   of 64 bits are 2**63 or more: different cells get one name, or one that no table has,
#   though not in the eager test. A list of only large, or of only small, numbers is
#   exact, so that a short test may pass.
# Way around: give np.array(numbers, np.uint64) instead of a list.
# Output seen:
#   eager              [9223372036854775813, 9223372036854775815, 12]
#   tf.function        [9223372036854775808, 9223372036854775808, 12]
#   make_tensor_proto  [9223372036854775808, 9223372036854775808, 12]
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


def constant(numbers):
    return tf.constant(numbers, tf.uint64)


def through_proto(numbers):
    return tf.make_ndarray(tf.make_tensor_proto(numbers, tf.uint64)).tolist()


numbers = [2**63 + 5, 2**63 + 7, 12]
rounded = [2**63, 2**63, 12]
eager = constant(numbers).numpy().tolist()
graph = tf.function(lambda: constant(numbers))().numpy().tolist()
proto = through_proto(numbers)
print("eager             ", eager)
print("tf.function       ", graph)
print("make_tensor_proto ", proto)

assert eager == numbers, "changed: eager"
assert graph == rounded, "changed: tf.function"
assert proto == rounded, "changed: make_tensor_proto"
assert through_proto(np.array(numbers, np.uint64)) == numbers, "changed: arrays"
assert through_proto(numbers[:2]) == numbers[:2], "changed: large numbers alone"
EOF
