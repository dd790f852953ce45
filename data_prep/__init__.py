"""Prepares data for tfvqgen: from images of cells to shards."""
