"""Metrics of images, features and cells."""
