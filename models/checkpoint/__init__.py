"""Checkpoints: every published format in, one self-describing format out.

A pickle is only ever read as tensors and plain values, so a file from a stranger cannot run code.
"""

from models.checkpoint.baselines import load_baseline
from models.checkpoint.files import CheckpointInfo, load_network, load_state, read_checkpoint, save_checkpoint
from models.checkpoint.formats import SUFFIXES
from models.checkpoint.identity import identify, match_family

__all__ = [
    'SUFFIXES', 'CheckpointInfo', 'identify', 'load_baseline', 'load_network', 'load_state', 'match_family',
    'read_checkpoint', 'save_checkpoint',
]  # fmt: skip
