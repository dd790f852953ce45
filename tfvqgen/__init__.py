"""tfvqgen: generates single-cell microscopy images by localization of a protein."""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
