"""Figures: cells by localization, reconstructions, and what is taken for what."""
