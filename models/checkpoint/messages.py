"""Short printable texts about what a checkpoint file holds, for messages."""

from typing import Any

import torch

from utils.errors import first_line

LONGEST_TEXT = 60


def name_of(kind: torch.dtype | torch.layout) -> str:
    return str(kind).removeprefix('torch.')


def shown(value: Any, longest: int = LONGEST_TEXT) -> str:
    """A text of a file as a message may hold it: short and printable, whatever the file says."""
    try:
        text = str(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, a list in a list in a list
        text = f'a long {type(value).__name__}'
    text = text if len(text) <= longest else f'{text[:longest]}...'
    return text if text.isprintable() else repr(text)


def listed(names: list) -> str:
    return first_three([shown(name) for name in names[:4]])


def first_three(names: list[str]) -> str:
    return ', '.join(names[:3]) + (', ...' if len(names) > 3 else '')


def reason_of(error: BaseException) -> str:
    """First line of an exception's message, short and printable."""
    return shown(first_line(error), 120)
