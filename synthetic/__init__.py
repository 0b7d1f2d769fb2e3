"""The painter: drawn people in drawn garments, with every annotation and the true try-on of each test pair.

`python -m synthetic` writes a data set; `synthetic.dataset` describes its layout.

Not part of any paper. Later modules build on earlier ones: brushes, people, heads, bodies, garments,
wearing, scenes, records, dataset.
"""
