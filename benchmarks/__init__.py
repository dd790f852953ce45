"""What the figures in the documentation are measured with.

Each module is a command, ``python -m benchmarks.<name>``, that prints one JSON object a
line and case.
"""
