"""One line per log record, whatever strangers sent: control characters never reach a log raw.

A truck's key or an item's name may hold a newline that forges a log line, or an escape sequence that takes over the
operator's terminal. Every door configures logging through here.
"""

import logging
import sys
from typing import TextIO


class SafeFormatter(logging.Formatter):
    """The usual line, with control characters of the message escaped; a traceback keeps its own lines."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line without a traceback."""
        return printable(super().formatMessage(record))


def printable(text: str) -> str:
    """Make text of strangers fit for a log or a terminal.

    Args:
        text: anything.

    Returns:
        The text with control characters, and what else is not printable, written as escapes: one line, no terminal
        codes.
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape", "backslashreplace").decode("ascii")
        for character in text
    )


def configure_logging(level: int, stream: TextIO = sys.stderr) -> None:
    """Log to a stream, from a level on.

    Args:
        level: such as logging.WARNING.
        stream: where to; standard error by default.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(SafeFormatter())
    logging.basicConfig(level=level, handlers=[handler])
