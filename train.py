"""Trains the models, like ``tfvqgen train``; see ``python train.py --help``."""

from tfvqgen.cli import train
from tfvqgen.command_line import run_with_flags

if __name__ == "__main__":
    run_with_flags(train)
