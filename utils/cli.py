"""The parser of all command lines: errors in one line, no abbreviated options."""

import argparse
from typing import NoReturn

from utils.errors import UserError


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows defaults in the help, except None."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default is None else super()._get_help_string(action)


class OptionParser(argparse.ArgumentParser):
    """An argument parser that raises `UserError` instead of printing its usage, and takes no abbreviations.

    `settings` are those of `argparse.ArgumentParser`; sub-parsers are of this class too.
    """

    def __init__(self, description: str | None = None, **settings):
        settings = {'formatter_class': _HelpFormatter} | settings
        super().__init__(description=description, allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        # A line break or an escape code within an argument must not break the line.
        message = ''.join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in message)
        raise UserError(f'{message}; see --help')
