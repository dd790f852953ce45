"""Measures of images, each a small function of arrays."""
