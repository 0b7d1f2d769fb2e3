"""Warp networks: appearance flow, coarse to fine."""
