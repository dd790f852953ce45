"""Exports trained models, like ``tfvqgen export``; see ``python export.py --help``."""

from tfvqgen.cli import export
from tfvqgen.command_line import run_with_flags

if __name__ == "__main__":
    run_with_flags(export)
