"""A local page to play with a model."""
