"""Cells from trained models: what is asked for, drawn, and written down."""
