"""Faults injected into real runs, and what they cost."""
