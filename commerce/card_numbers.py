"""Payment card data has no place here: a document that carries any is refused and never stored or logged.

Recognised by the field's name, and by the value: 13 to 19 digits that begin as a card scheme's numbers do and pass
the Luhn check (ISO/IEC 7812-1). About one random number of such a form in ten passes, so an id that happens to look
like a card number is refused too: a leaked card number costs more than a changed id.
"""

import re

from contract.codec import Json

_NAMES = re.compile(r"card_?(number|no|pan)|(^|_)pan$|cvc2?|cvv2?|card_?(security_?)?code|track_?[12](_?data)?", re.I)
_CANDIDATE = re.compile(r"(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)")
_SCHEMES = re.compile(
    r"4\d{12}(\d{3}){0,2}|(5[1-5]\d{2}|222[1-9]|22[3-9]\d|2[3-6]\d{2}|27[01]\d|2720)\d{12}|3[47]\d{13}"
    r"|3(0[0-5]|[68]\d)\d{11}|(6011|65\d{2}|64[4-9]\d)\d{12,15}|35(2[89]|[3-8]\d)\d{12}|62\d{14,17}"
)


def find_card_data(value: Json, path: str = "") -> str | None:
    """The dotted name of the first field that holds card data, None where there is none.

    Args:
        value: a parsed document, or a part of one.
        path: the dotted name of that part.
    """
    if isinstance(value, dict):
        for key, inner in value.items():
            here = f"{path}.{key}" if path else str(key)
            if inner is not None and _NAMES.search(str(key)):
                return here
            if _looks_like_card(str(key)):
                return path or "(a field's name)"
            if found := find_card_data(inner, here):
                return found
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            if found := find_card_data(inner, f"{path}.{index}" if path else str(index)):
                return found
    elif not isinstance(value, bool) and value is not None and _looks_like_card(str(value)):
        return path
    return None


def _looks_like_card(text: str) -> bool:
    for match in _CANDIDATE.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if _SCHEMES.fullmatch(digits) and _passes_luhn(digits):
            return True
    return False


def _passes_luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        number = int(digit) * (1 + place % 2)
        total += number - 9 if number > 9 else number
    return total % 10 == 0
