"""Feature pyramids of person and garment."""
