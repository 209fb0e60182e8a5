"""What strangers sent reaches a log as one line."""

import io
import logging

import pytest

from contract.log_format import SafeFormatter, printable


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("plain Ünïcode", "plain Ünïcode"),
        ("x\n2026-11-28 00:00:00,000 ERROR store_corrupt", "x\\n2026-11-28 00:00:00,000 ERROR store_corrupt"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\x85b\u2028c", "a\\x85b\\u2028c"),
        ("half \ud800", "half \\ud800"),
    ],
)
def test_control_characters_are_escaped(text: str, safe: str) -> None:
    assert printable(text) == safe


def test_a_record_is_one_line_but_for_its_traceback() -> None:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(SafeFormatter())
    logger = logging.Logger("forged")
    logger.addHandler(handler)
    logger.warning("unknown_key_kept key=%s", "x\nERROR all data lost")
    assert len(out.getvalue().splitlines()) == 1
    try:
        raise ValueError("inside")
    except ValueError:
        logger.exception("failed key=%s", "y\nz")
    assert out.getvalue().count("Traceback") == 1
    assert "y\\nz" in out.getvalue()
