"""What the figures in the documentation are measured with.

Modules with a ``main`` are commands, ``python -m benchmarks.<name>``, which print one
JSON object a line and case (``sampling_cost`` a table); the others are what they share.
"""
