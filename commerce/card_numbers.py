"""Payment card data has no place here: a document that carries any is refused and never stored or logged.

Recognised by the field's name, and by the value: 13 to 19 digits that begin as a card scheme's numbers do and pass
the Luhn check (ISO/IEC 7812-1), in the digits of any script, in groups or not, and with other numbers beside them, such
as the date of expiry. About one random number of such a form in ten passes, so an id that happens to look like a card
number is refused too: a leaked card number costs more than a changed id. A telephone number with its + is none.
"""

import re
import unicodedata

from contract.codec import Json

_NAMES = re.compile(
    r"card[\W_]*(number|num|no|pan)(?![a-z])|(^|_)pan$|cvc2?|cvv2?|card[\W_]*(security[\W_]*)?code|track_?[12](_?data)?",
    re.I,
)
_RUN = re.compile(r"\+?\d(?:[\s\-._/]{0,3}\d){12,}")
_GROUPS = re.compile(r"([\s\-._/]+)")
_SCHEMES = re.compile(
    r"4\d{12}(\d{3}){0,2}|(5[1-5]\d{2}|222[1-9]|22[3-9]\d|2[3-6]\d{2}|27[01]\d|2720)\d{12}|3[47]\d{13}"
    r"|3(0[0-5]|[68]\d)\d{11}|(6011|65\d{2}|64[4-9]\d)\d{12,15}|35(2[89]|[3-8]\d)\d{12}|62\d{14,17}"
)
_LEAST, _MOST = 13, 19
_TELEPHONE = 15
"""Digits that a telephone number has at most (ITU-T E.164)."""
_FIRST_DIGITS = frozenset("23456")
_TIGHT = frozenset("._/")
_LEAST_OF_GROUP = 3
"""Digits in a group where one of `_TIGHT` stands between: dates, decimals and versions have fewer."""


def find_card_data(value: Json, path: str = "") -> str | None:
    """The dotted name of the first field that holds card data, None where there is none.

    Args:
        value: a parsed document, or a part of one.
        path: the dotted name of that part.
    """
    if isinstance(value, dict):
        for key, inner in value.items():
            here = f"{path}.{key}" if path else str(key)
            if has_card_number(str(key)):
                return path or "(a field's name)"
            if inner is not None and _NAMES.search(str(key)):
                return here
            if found := find_card_data(inner, here):
                return found
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            if found := find_card_data(inner, f"{path}.{index}" if path else str(index)):
                return found
    elif not isinstance(value, bool) and value is not None:
        written = value if isinstance(value, str) else format(value, "f") if not isinstance(value, int) else str(value)
        if has_card_number(written):
            return path or "(the whole)"
    return None


def has_card_number(text: str) -> bool:
    """Whether a payment card's number stands anywhere in a text.

    Args:
        text: of any length.
    """
    return any(_holds_one(run[0]) for run in _RUN.finditer(_plain(text)))


def _plain(text: str) -> str:
    """With each script's digits as 0–9, every dash as -, every space as one, and nothing invisible."""
    if text.isascii():
        return text
    found = []
    for character in unicodedata.normalize("NFKC", text):
        kind = unicodedata.category(character)
        if kind == "Nd":
            found.append(str(unicodedata.decimal(character)))
        elif kind != "Cf":
            found.append({"Pd": "-", "Zs": " "}.get(kind, character))
    return "".join(found)


def _holds_one(run: str) -> bool:
    """Whether some of a run's groups of digits, one after the other, are a card's number."""
    telephone = run.startswith("+")
    pieces = _GROUPS.split(run.removeprefix("+"))
    groups, tight = pieces[::2], [False, *(not _TIGHT.isdisjoint(separator) for separator in pieces[1::2])]
    for first, group in enumerate(groups):
        if group[0] not in _FIRST_DIGITS:
            continue
        digits, is_tight = "", False
        for last in range(first, len(groups)):
            digits += groups[last]
            if len(digits) > _MOST:
                break
            is_tight = is_tight or (last > first and tight[last])
            if len(digits) < _LEAST or (telephone and first == 0 and len(digits) <= _TELEPHONE):
                continue
            if is_tight and any(len(each) < _LEAST_OF_GROUP for each in groups[first : last + 1]):
                continue
            if _SCHEMES.fullmatch(digits) and _passes_luhn(digits):
                return True
    return False


def _passes_luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        number = int(digit) * (1 + place % 2)
        total += number - 9 if number > 9 else number
    return total % 10 == 0
