"""The data set in the VITON layout: label ids, reading, checking, loading, and the masks for training."""
