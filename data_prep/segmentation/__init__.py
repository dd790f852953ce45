"""Finds the nuclei of a field, or takes them from the masks of other tools."""
