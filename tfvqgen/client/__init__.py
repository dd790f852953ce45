"""Asks a running TensorFlow Serving."""
