"""Exports trained models as SavedModels, and checks them."""
