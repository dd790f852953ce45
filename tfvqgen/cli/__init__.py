"""The commands of ``python -m tfvqgen``."""
