"""Paired cell inpainting: the network's training, and features of all crops."""
