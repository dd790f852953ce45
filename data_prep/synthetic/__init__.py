"""Synthetic cells: wells, cell outlines, tissue, proteins, and their images."""
