"""Models outside of this project: exported, checked, and asked over the wire."""
