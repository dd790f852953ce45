"""tfvqgen: generates single-cell microscopy images by localization of a protein."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"

from tfvqgen.config import Config

__all__ = ["Config"]
