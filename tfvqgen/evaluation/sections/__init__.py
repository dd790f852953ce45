"""The objects of ``metrics.json``, each from what was measured."""
