"""The script that a shop loads: beacon.js as it is served, without its comments and indentation."""

import re
from pathlib import Path

SCRIPT = Path(__file__).with_name("beacon.js")
_BLOCK_COMMENT = re.compile(r"^\s*/\*.*?\*/\s*?$", re.DOTALL | re.MULTILINE)
_LINE_COMMENT = re.compile(r"(?:^|(?<=[\s{;,])) *// [^'\n]*$", re.MULTILINE)


def served_script() -> bytes:
    """UTF-8 text of the script; under 5 KB when compressed, behind its first comment, which names it."""
    text = SCRIPT.read_text("utf-8")
    head, _, rest = text.partition("*/\n")
    bare = _LINE_COMMENT.sub("", _BLOCK_COMMENT.sub("", rest))
    lines = [line.strip() for line in bare.splitlines()]
    return (head.splitlines()[0].rstrip() + " */\n" + "\n".join(filter(None, lines)) + "\n").encode()
