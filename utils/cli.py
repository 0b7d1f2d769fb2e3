"""The parser of all command lines and its option types: errors in one line, no abbreviations."""

import argparse
import math
from collections.abc import Callable
from typing import NoReturn

from utils.errors import UserError


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows defaults in the help, except None."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default is None else super()._get_help_string(action)


class OptionParser(argparse.ArgumentParser):
    """An argument parser that raises `UserError` instead of printing its usage, and takes no abbreviations.

    An option without a type takes no empty text, which a shell makes of a variable that is not set.
    `settings` are those of `argparse.ArgumentParser`; sub-parsers are of this class too.
    """

    def __init__(self, description: str | None = None, **settings):
        settings = {'formatter_class': _HelpFormatter} | settings
        super().__init__(description=description, allow_abbrev=False, **settings)
        self.register('type', None, _given)

    def error(self, message: str) -> NoReturn:
        # A line break or an escape code within an argument must not break the line.
        message = ''.join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in message)
        raise UserError(f'{message}; see --help')


def _given(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError('an empty name')
    return text


def whole_number(minimum: int, maximum: int = 2**31 - 1) -> Callable[[str], int]:
    """Return an argparse type: a whole number from `minimum` to `maximum`."""

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = minimum - 1
        if value < minimum:
            raise argparse.ArgumentTypeError(f'{text!r} is not a whole number of at least {minimum}')
        if value > maximum:
            raise argparse.ArgumentTypeError(f'{text!r} is more than {maximum}')
        return value

    return convert


def positive_number(text: str) -> float:
    """An argparse type: a finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f'{text!r} is not a number above 0')
    return value


def share(text: str) -> float:
    """An argparse type: a number from 0 to below 1."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is not a number from 0 to below 1')
    return value


def run_name(text: str) -> str:
    """An argparse type: the name of a run folder, not a path."""
    if not text.strip() or text in {'.', '..'} or '/' in text or '\\' in text:
        raise argparse.ArgumentTypeError(f'{text!r} is not a plain folder name; put the path into --project')
    return text
