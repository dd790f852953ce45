"""The localization classifier: its training, what it recognises, and what it scores."""
