"""Generators: warped garment and person to a try-on."""
