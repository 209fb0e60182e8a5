"""Rows of a CSV file as documents of a register: numbers and truths are read from their text."""

import csv
import re
from collections.abc import Iterator
from typing import TextIO

from commerce.registers.documents import Kind
from contract.codec import Json, parse
from contract.errors import Misconfigured

_NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,18})?")
_TEXTS = frozenset({"name", "item_name", "plate", "postcode", "group", "email", "category"})
_TRUTHS = {"true": True, "yes": True, "false": False, "no": False}


def read_csv(source: TextIO, kind: Kind) -> Iterator[tuple[int, dict[str, Json]]]:
    """The rows, each with its line number.

    Args:
        source: opened with newline="".
        kind: whose id column must be there; an empty cell says nothing.

    Raises:
        Misconfigured: there is no column of the ids.
    """
    reader = csv.DictReader(source, strict=True)
    columns = reader.fieldnames or ()
    if kind.id_name not in columns:
        raise Misconfigured(f"the file's first line must name the columns, one of them {kind.id_name}")
    for row in reader:
        yield (
            reader.line_num,
            {name: _value(kind, name, text.strip()) for name, text in row.items() if name and text and text.strip()},
        )


def _value(kind: Kind, name: str, text: str) -> Json:
    if name == kind.id_name or kind.aliases.get(name, name) in _TEXTS:
        return text
    if _NUMBER.fullmatch(text):
        return parse(text.lstrip("0") if re.match(r"0\d", text) else text)
    return _TRUTHS.get(text.lower(), text)
