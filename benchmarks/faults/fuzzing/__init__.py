"""Inputs of every kind that is read, damaged by a seed, and what becomes of them."""
