"""Cropping: fields of view become a folder of crops around their nuclei."""
