"""The project's logger: to the screen and to the log.txt of a run folder."""

import logging
import sys
from pathlib import Path

NAME = 'dm_vton'


class _LogFile(logging.FileHandler):
    """A log file that raises OSError on a failed write instead of printing a traceback for each line."""

    def handleError(self, record: logging.LogRecord) -> None:
        raise  # noqa: PLE0704 - called by logging inside its except block


def create_logger(folder: Path | None = None) -> logging.Logger:
    """Return the project's logger: plain lines to the screen, timed ones to `log.txt` in `folder`."""
    logger = logging.getLogger(NAME)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    screen = logging.StreamHandler(sys.stdout)
    screen.setFormatter(logging.Formatter('%(message)s'))
    logger.addHandler(screen)
    if folder is not None:
        file = _LogFile(folder / 'log.txt', encoding='utf-8', errors='backslashreplace')
        file.setFormatter(logging.Formatter('%(asctime)s %(message)s', datefmt='%Y-%m-%d %H:%M:%S'))
        logger.addHandler(file)
    return logger


def format_table(header: list[str], rows: list[list[str]]) -> str:
    """Lay out `rows` under `header` in columns as wide as their widest entry."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    text = [
        '  '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    return '\n'.join([text[0], '  '.join('-' * width for width in widths), *text[1:]])
