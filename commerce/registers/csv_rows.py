"""The cells of a CSV row as values of a register's document: text where the field takes text, else what it says."""

import re
from collections.abc import Mapping

from commerce.registers.documents import Kind
from contract.codec import Json, parse
from contract.errors import Rejected

_NUMBER = re.compile(r"(-?)0*(\d{1,18}(?:\.\d{1,18})?)")
_TRUTHS = {"true": True, "yes": True, "false": False, "no": False}


def document_of(kind: Kind, cells: Mapping[str, str]) -> dict[str, Json]:
    """A document to be judged.

    Args:
        kind: whose fields they are.
        cells: column → text, not empty.

    Returns:
        Numbers and truths where the text says one and the field does not take it as text: `007` is a driver's name and
        7 litres.
    """
    return {name: _value(kind, name, text) for name, text in cells.items()}


def _value(kind: Kind, name: str, text: str) -> Json:
    if name == kind.id_name or _is_text(kind, name, text):
        return text
    if number := _NUMBER.fullmatch(text):
        return parse(number[1] + number[2])
    return _TRUTHS.get(text.lower(), text)


def _is_text(kind: Kind, name: str, text: str) -> bool:
    read = kind.fields.get(kind.aliases.get(name, name))
    if read is None:  # a column of the fleet's own
        return re.match(r"-?0\d", text) is not None
    try:
        return bool(read(text) == text)
    except Rejected:
        return False
