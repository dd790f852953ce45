"""Segmentation of nuclei, and masks of other tools."""
