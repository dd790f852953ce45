"""The page on which a person decides about clusters and crops, and its files."""
