"""Draws people in garments for `data.synthetic`: a flat garment, a person, and the warp that takes the one onto the other.

Not part of any paper. Later modules build on earlier ones: brushes, people, heads, bodies, garments, wearing, scenes.
"""
