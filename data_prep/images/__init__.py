"""Images of any kind and origin, read exactly or refused in a sentence."""
