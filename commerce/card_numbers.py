"""Payment card data has no place here: a document that carries any is refused and never stored or logged.

Recognised by the field's name, and by the value: 13 to 19 digits that begin as a card scheme's numbers do and pass
the Luhn check (ISO/IEC 7812-1), in the digits of any script, in groups or not, and with other numbers beside them, such
as the date of expiry. About one random number of such a form in ten passes, so an id that happens to look like a card
number is refused too: a leaked card number costs more than a changed id. A telephone number with its + is none.
"""

import re
import unicodedata
from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from itertools import accumulate

from contract.codec import Json

_NAMES = re.compile(
    r"card[\W_]*(number|num|no|pan)(?![a-z])|(^|_)pan$|cvc2?|cvv2?|card[\W_]*(security[\W_]*)?code|track_?[12](_?data)?",
    re.I,
)
_NAMED = re.compile(r"""[\w .-]{1,64}(?=["']?\s*[:=])""")
_RUN = re.compile(r"\+?\d(?:[\s\-._/]{0,3}\d){12,}")
_GROUPS = re.compile(r"([\s\-._/]+)")
_SCHEMES = re.compile(
    r"4\d{12}(\d{3}){0,2}|(5[1-5]\d{2}|222[1-9]|22[3-9]\d|2[3-6]\d{2}|27[01]\d|2720)\d{12}|3[47]\d{13}"
    r"|3(0[0-5]|[68]\d)\d{11}|(6011|65\d{2}|64[4-9]\d)\d{12,15}|35(2[89]|[3-8]\d)\d{12}|62\d{14,17}"
)
_LEAST, _MOST = 13, 19
_TOO_LONG = 10**_MOST
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
"""What Luhn's check counts for every second digit."""
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
    found = _way_to_card_data(value)
    if found is None:
        return None
    way, is_name = found
    name = ".".join(filter(None, (path, *reversed(way))))
    return name or ("(a field's name)" if is_name else "(the whole)")


def _way_to_card_data(value: Json) -> tuple[list[str], bool] | None:
    """The keys to it, the innermost first, and whether it is a field's name: such a name is not among the keys."""
    if isinstance(value, dict):
        for key, inner in value.items():
            name = str(key)
            if has_card_number(name):
                return [], True
            if inner is not None and _NAMES.search(name):
                return [name], False
            if found := _way_to_card_data(inner):
                found[0].append(name)
                return found
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            if found := _way_to_card_data(inner):
                found[0].append(str(index))
                return found
    elif has_card_number(value if isinstance(value, str) else _written(value)):
        return [], False
    return None


def _written(value: Json) -> str:
    """A number as digits; nothing for one too long or too small to have a card's number in its digits, and for null."""
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, int):
        return str(value) if abs(value) < _TOO_LONG else ""
    if isinstance(value, Decimal) and value.adjusted() < -_MOST:
        return ""
    return format(value, "f")


def has_card_number(text: str) -> bool:
    """Whether a payment card's number stands anywhere in a text.

    Args:
        text: of any length.
    """
    return any(_holds_one(run[0]) for run in _RUN.finditer(_plain(text)))


def may_hold_card_data(text: str) -> bool:
    """Whether a text that need not be JSON holds a payment card's number, or something named as card data is.

    Args:
        text: of any length.
    """
    return has_card_number(text) or any(_NAMES.search(name[0]) for name in _NAMED.finditer(text))


def _plain(text: str) -> str:
    """With each script's digits as 0–9, every dash as -, every space as one, and nothing invisible."""
    return text if text.isascii() else "".join(map(_plain_character, unicodedata.normalize("NFKC", text)))


@lru_cache(maxsize=4096)
def _plain_character(character: str) -> str:
    kind = unicodedata.category(character)
    if kind == "Nd":
        return str(unicodedata.decimal(character))
    return "" if kind == "Cf" else {"Pd": "-", "Zs": " "}.get(kind, character)


def _holds_one(run: str) -> bool:
    """Whether some of a run's groups of digits, one after the other, are a card's number."""
    telephone = run.startswith("+")
    pieces = _GROUPS.split(run.removeprefix("+"))
    groups = pieces[::2]
    tight = [not _TIGHT.isdisjoint(separator) for separator in pieces[1::2]]  # of each group, what follows it
    digits = "".join(groups)
    sums: tuple[list[int], list[int]] | None = None
    for first, last, start, end in _of_a_card_s_length(groups, digits):
        if telephone and first == 0 and end - start <= _TELEPHONE:
            continue
        sums = sums or _luhn_sums(digits)
        if (sums[end % 2][end] - sums[end % 2][start]) % 10 or not _SCHEMES.fullmatch(digits, start, end):
            continue
        if not any(tight[first:last]) or min(map(len, groups[first : last + 1])) >= _LEAST_OF_GROUP:
            return True
    return False


def _of_a_card_s_length(groups: list[str], digits: str) -> Iterator[tuple[int, int, int, int]]:
    """Each first and last group that make 13 to 19 digits, with the places in all digits where those begin and end."""
    ends = list(accumulate(map(len, groups)))
    shortest = 0
    for first, group in enumerate(groups):
        start = ends[first] - len(group)
        if digits[start] not in _FIRST_DIGITS:
            continue
        while shortest < len(groups) and ends[shortest] - start < _LEAST:
            shortest += 1
        for last in range(shortest, len(groups)):
            if ends[last] - start > _MOST:
                break
            yield first, last, start, ends[last]


def _luhn_sums(digits: str) -> tuple[list[int], list[int]]:
    """The Luhn sum of the digits before each place, of numbers that end at an even place, and at an odd one."""
    plain = [int(digit) for digit in digits]
    doubled = [_DOUBLED[number] for number in plain]
    even, odd = plain[:], plain[:]
    even[::2], odd[1::2] = doubled[::2], doubled[1::2]
    return list(accumulate(even, initial=0)), list(accumulate(odd, initial=0))
