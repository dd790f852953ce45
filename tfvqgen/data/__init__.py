"""Shards, code shards and the input pipeline."""
