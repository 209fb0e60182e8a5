"""java.time patterns for time_to_epoch: text to ms since 1970 (DateTimeFormatter of JDK 11, English, smart).

Letters: G u y M L d D Q q E e c a h K k H m s S A n N, the zones V z O X x Z, [optional] sections, 'text'.
A field that the pattern lacks starts at its first value (a date alone is midnight); without a zone it is UTC.
"""

from datetime import UTC, datetime, timedelta, timezone, tzinfo

from iot_rules.errors import TooMuch
from iot_rules.sql.functions.joda_time import DAYS, MONTHS, ZONE_NAMES, fixed_offset, runs, zone_by_id

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_OPTIONAL = 32
_ABBREVIATIONS = {
    "UTC": "UTC", "GMT": "UTC", "Z": "UTC", "EST": "America/New_York", "EDT": "America/New_York",
    "CST": "America/Chicago", "CDT": "America/Chicago", "MST": "America/Denver", "MDT": "America/Denver",
    "PST": "America/Los_Angeles", "PDT": "America/Los_Angeles", "CET": "Europe/Paris", "CEST": "Europe/Paris",
    "EET": "Europe/Bucharest", "EEST": "Europe/Bucharest", "WET": "Europe/Lisbon", "WEST": "Europe/Lisbon",
    "BST": "Europe/London", "JST": "Asia/Tokyo", "IST": "Asia/Kolkata", "AKST": "America/Anchorage",
    "AKDT": "America/Anchorage", "HST": "Pacific/Honolulu",
}  # fmt: skip
_NUMBERS = frozenset("uydDMLQqHkKhmsAnNec")
_NARROW_ONLY_TEXT = frozenset("GaE")
_ZONES = frozenset("VzOXxZ")
_QUARTER_MONTHS = 3
_QUARTERS = ("1st quarter", "2nd quarter", "3rd quarter", "4th quarter")
_SAME_TEXT = {"L": "M", "q": "Q", "e": "E", "c": "E"}


class _Mismatch(ValueError):
    """The text does not fit the pattern, or the pattern is none."""


def parse_instant(text: str, pattern: str) -> int | None:
    """ms since 1970, or None if the text does not fit the pattern or the pattern is not valid. Raises TooMuch."""
    pieces = _pieces(pattern)
    if pieces is None:
        return None
    reader = _Reader(text)
    try:
        reader.read_all(pieces)
        return reader.instant()
    except (ValueError, OverflowError):
        return None


def _pieces(pattern: str) -> list[tuple[str, int]] | None:
    """Runs of letters and literals; brackets of optional sections as ("[", 0) and ("]", 0)."""
    found = runs(pattern)
    if found is None:
        return None
    marked = _unquoted_brackets(pattern)
    pieces: list[tuple[str, int]] = []
    for letter, count in found:
        if letter in ("'[", "']") and marked.pop(0):
            pieces.append((letter[1], 0))
        elif count and letter not in _NUMBERS | _NARROW_ONLY_TEXT | _ZONES | {"S"}:
            return None
        else:
            pieces.append((letter, count))
    return pieces


def _unquoted_brackets(pattern: str) -> list[bool]:
    """For each single-bracket literal in order, whether it stood outside quotes."""
    marks, quoted = [], False
    for at, char in enumerate(pattern):
        if char == "'":
            quoted = not quoted
        elif char in "[]" and (not quoted or pattern[at - 1 : at + 2] == f"'{char}'"):
            marks.append(not quoted)
    return marks


class _Reader:
    """A cursor over the text and the fields found so far."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.fields: dict[str, int] = {}
        self.zone: tzinfo | None = None
        self._depth = 0

    def read_all(self, pieces: list[tuple[str, int]]) -> None:
        self._sequence(pieces, 0)
        if self.at != len(self.text):
            raise _Mismatch("text is left over")

    def _sequence(self, pieces: list[tuple[str, int]], start: int) -> None:
        index = start
        while index < len(pieces):
            letter, count = pieces[index]
            if letter == "[":
                index = self._optional(pieces, index)
            else:
                self._piece(letter, count, adjacent=_adjacent_digits(pieces, index))
            index += 1

    def _optional(self, pieces: list[tuple[str, int]], opening: int) -> int:
        depth, closing = 0, opening
        for closing in range(opening, len(pieces)):
            depth += {"[": 1, "]": -1}.get(pieces[closing][0], 0)
            if not depth:
                break
        self._depth += 1
        if self._depth > _MAX_OPTIONAL:
            raise TooMuch(f"time_to_epoch() with more than {_MAX_OPTIONAL} nested brackets: write fewer")
        saved = self.at, dict(self.fields), self.zone
        try:
            self._sequence(pieces[opening + 1 : closing + (1 if depth else 0)], 0)
        except ValueError:
            self.at, self.fields, self.zone = saved
        self._depth -= 1
        return closing

    def _piece(self, letter: str, count: int, *, adjacent: int) -> None:
        if letter.startswith("'"):
            self._literal(letter[1:])
        elif letter == "]":
            raise _Mismatch("a section is closed that was not opened")
        elif letter in _ZONES:
            self.zone = self._zone(letter, count)
        elif letter in "GaE" or (letter in "MLQqec" and count > 2):
            self._text(letter, count)
        elif letter == "S":
            self._set("S", int(self._digits(count, count).ljust(9, "0")[:9]))
        else:
            self._number(letter, count, adjacent)

    def _set(self, letter: str, value: int) -> None:
        if self.fields.get(letter, value) != value:
            raise _Mismatch("a field is given twice, differently")
        self.fields[letter] = value

    def _literal(self, literal: str) -> None:
        if not self.text.startswith(literal, self.at):
            raise _Mismatch(literal)
        self.at += len(literal)

    def _digits(self, fewest: int, most: int) -> str:
        end = self.at
        while end < len(self.text) and end - self.at < most and self.text[end] in "0123456789":
            end += 1
        if end - self.at < fewest:
            raise _Mismatch("a number is missing")
        digits, self.at = self.text[self.at : end], end
        return digits

    def _number(self, letter: str, count: int, adjacent: int) -> None:
        if letter in "uy" and count != 2:
            sign = -1 if self.text.startswith("-", self.at) else 1
            self.at += 1 if self.text.startswith(("-", "+"), self.at) else 0
            most = max(count, self._run_length() - adjacent) if count < 4 or adjacent else count
            self._set(letter, sign * int(self._digits(count, min(most, 9))))
            return
        most = count if count > 1 else max(1, min(19, self._run_length() - adjacent))
        number = int(self._digits(count, most))
        self._set({"L": "M", "q": "Q", "c": "e"}.get(letter, letter), number + 2000 if letter in "uy" else number)

    def _run_length(self) -> int:
        end = self.at
        while end < len(self.text) and self.text[end] in "0123456789":
            end += 1
        return end - self.at

    def _text(self, letter: str, count: int) -> None:
        names = {
            "G": ("Before Christ", "Anno Domini") if count == 4 else ("BC", "AD"),
            "a": ("AM", "PM"),
            "M": MONTHS if count == 4 else tuple(name[:3] for name in MONTHS),
            "Q": _QUARTERS if count == 4 else ("Q1", "Q2", "Q3", "Q4"),
            "E": DAYS if count == 4 else tuple(name[:3] for name in DAYS),
        }[_SAME_TEXT.get(letter, letter)]
        matching = [name for name in names if self.text.startswith(name, self.at)]
        if count > 4 or not matching:
            raise _Mismatch("a name is missing")
        name = max(matching, key=len)
        self.at += len(name)
        self._set(_SAME_TEXT.get(letter, letter), names.index(name) + (letter not in "Ga"))

    # -- zones

    def _zone(self, letter: str, count: int) -> tzinfo:
        if letter in "Vz":
            if letter == "V" and count != 2:
                raise _Mismatch("VV is the only count")
            return self._zone_id()
        if letter == "O" or (letter == "Z" and count == 4):
            return self._localized()
        return self._offset(letter, count)

    def _zone_id(self) -> tzinfo:
        for full, short in ((full, short) for short, full in ZONE_NAMES.items()):
            if self.text.startswith(full, self.at):
                self.at += len(full)
                return _known(short)
        end = self.at
        while end < len(self.text) and (self.text[end].isalnum() or self.text[end] in "/_+-:~."):
            end += 1
        for stop in range(end, self.at, -1):
            zone = _zone_named(self.text[self.at : stop])
            if zone is not None:
                self.at = stop
                return zone
        raise _Mismatch("a time zone is missing")

    def _localized(self) -> tzinfo:
        self._literal("GMT")
        end = self.at
        while end < len(self.text) and self.text[end] in "+-:0123456789":
            end += 1
        offset = self.text[self.at : end]
        if len(offset) == 2:
            offset = f"{offset[0]}0{offset[1]}"
        self.at = end
        found = fixed_offset(offset) if offset else timedelta()
        if found is None:
            raise _Mismatch("an offset is missing")
        return timezone(found)

    def _offset(self, letter: str, count: int) -> tzinfo:
        if (letter == "X" or (letter == "Z" and count == 5)) and self.text.startswith("Z", self.at):
            self.at += 1
            return UTC
        shapes = {"Z": {1: (5,), 2: (5,), 3: (5,), 5: (6, 9)}}.get(
            letter, {1: (5, 3), 2: (5,), 3: (6,), 4: (7, 5), 5: (9, 6)}
        )
        for length in sorted(shapes.get(count, ()), reverse=True):
            candidate = self.text[self.at : self.at + length]
            colons = length in (6, 9)
            found = fixed_offset(candidate) if len(candidate) == length else None
            if found is not None and (":" in candidate) == colons:
                self.at += length
                return timezone(found)
        raise _Mismatch("an offset is missing")

    # -- fields to instant

    def instant(self) -> int:
        year, month, day = self._date()
        seconds, milliseconds = self._time()
        local = datetime(year, month, day) + timedelta(seconds=seconds)  # noqa: DTZ001
        self._check_weekday(datetime(year, month, day))  # noqa: DTZ001
        moment = local.replace(tzinfo=self.zone or UTC)
        return (moment.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1) + milliseconds

    def _date(self) -> tuple[int, int, int]:
        fields = self.fields
        year = fields.get("u", fields.get("y"))
        if year is None or not 1 <= year <= 9999 or fields.get("G") == 0:
            raise _Mismatch("a year from 1 to 9999 is missing")
        if "D" in fields:
            start = datetime(year, 1, 1) + timedelta(days=fields["D"] - 1)  # noqa: DTZ001
            if start.year != year:
                raise _Mismatch("no such day of the year")
            return year, start.month, start.day
        month = fields.get("M", (fields["Q"] - 1) * _QUARTER_MONTHS + 1 if "Q" in fields else 1)
        day = fields.get("d", 1)
        if not 1 <= month <= 12 or not 1 <= day <= 31:
            raise _Mismatch("no such month or day")
        following = datetime(year + month // 12, month % 12 + 1, 1) if (year, month) != (9999, 12) else None  # noqa: DTZ001
        last = (following - timedelta(days=1)).day if following else 31
        return year, month, min(day, last)

    def _check_weekday(self, date: datetime) -> None:
        if self.fields.get("E", date.isoweekday()) != date.isoweekday():
            raise _Mismatch("that date is another day of the week")

    def _hour(self) -> int:
        fields = self.fields
        hour = fields.get("H", _limited(fields, "k", 1, 24) % 24 if "k" in fields else None)
        if hour is not None:
            return hour
        twelve = fields.get("K", _limited(fields, "h", 1, 12) % 12 if "h" in fields else None)
        if twelve is None:
            return 0
        if "a" not in fields or twelve > 11:
            raise _Mismatch("an hour of 12 needs AM or PM")
        return twelve + 12 * fields["a"]

    def _time(self) -> tuple[int, int]:
        """(seconds of the day, ms)"""
        fields = self.fields
        if "A" in fields:
            return fields["A"] // 1000, fields["A"] % 1000
        if "N" in fields:
            return fields["N"] // 10**9, fields["N"] // 10**6 % 1000
        hour, minute, second = self._hour(), fields.get("m", 0), fields.get("s", 0)
        if hour == 24 and not (minute or second or fields.get("S")):
            return 86_400, 0
        if hour > 23 or minute > 59 or second > 59:
            raise _Mismatch("no such time of day")
        return hour * 3600 + minute * 60 + second, fields.get("S", fields.get("n", 0)) // 10**6


def _limited(fields: dict[str, int], letter: str, low: int, high: int) -> int:
    if not low <= fields[letter] <= high:
        raise _Mismatch("no such hour")
    return fields[letter]


def _adjacent_digits(pieces: list[tuple[str, int]], index: int) -> int:
    """How many digits directly following numeric fields of fixed width will take."""
    total = 0
    for letter, count in pieces[index + 1 :]:
        if letter not in _NUMBERS | {"S"} or (letter in "MLQqec" and count > 2) or count < 2:
            return total
        total += count
    return total


def _known(short: str) -> tzinfo:
    zone = zone_by_id(_ABBREVIATIONS.get(short, short))
    if zone is None:
        raise _Mismatch(short)
    return zone


def _zone_named(name: str) -> tzinfo | None:
    for prefix in ("UTC", "GMT", "UT"):
        if name.startswith((prefix + "+", prefix + "-")):
            offset = name[len(prefix) :]
            found = fixed_offset(offset if len(offset) != 2 else f"{offset[0]}0{offset[1]}")
            return None if found is None else timezone(found)
    return zone_by_id(_ABBREVIATIONS.get(name, name))
