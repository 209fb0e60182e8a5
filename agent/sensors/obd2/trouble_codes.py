"""What a vehicle's control units report as broken by OBD-II: modes 03 and 07, and the malfunction lamp. Pure.

The wire's `active_faults` are J1939's (SPN and FMI), into which these codes cannot be translated, so they go into
`custom` as they are printed everywhere ("P0301"). "none" is said only when every unit that answered was heard lately
and whole: a list without one unit's codes would say that they have gone.
"""

from agent.sensors.fields import LAMPS, PENDING_CODES, TROUBLE_CODES

STORED, PENDING = 0x03, 0x07
MONITOR_STATUS = 0x01
"""The mode 01 parameter whose first bit is the malfunction lamp."""
PERIODS: dict[int, float] = {STORED: 30.0, PENDING: 60.0}
"""Mode → seconds between two questions."""
ANSWERED = 0x40
"""Added to a mode in its answer."""

FORGOTTEN_AFTER = 3600.0
"""Seconds after which a silent unit that had no code is taken for gone."""

_LEAVES = {STORED: TROUBLE_CODES, PENDING: PENDING_CODES}
_LAMP = LAMPS[3]
_LAMP_LIMIT = 60.0
_MISSED, _SLACK = 3, 5.0
_NEGATIVE = 0x7F
_NO_SUCH_SERVICE = frozenset({0x11, 0x12})
"""Reasons of a negative answer by which a unit has no such list: the others mean "not now"."""
_WHOLE_AFTER = 2.0
"""Seconds in which an answer of several frames, or one that was put off, comes whole."""
_NO_CODE = b"\0\0"
_MOST = 12
"""Codes that are named; a text has no room for more."""


def code(two: bytes) -> str:
    """A trouble code as SAE J2012 writes it.

    Args:
        two: its two bytes.

    Returns:
        Such as "P0301".
    """
    return f"{'PCBU'[two[0] >> 6]}{two[0] >> 4 & 3}{two[0] & 0xF:X}{two[1]:02X}"


class TroubleCodes:
    """One bus. `feed` it every whole answer, in the order heard."""

    def __init__(self) -> None:
        self._lists: dict[int, dict[int, tuple[float, tuple[str, ...]]]] = {mode: {} for mode in PERIODS}
        self._lamps: dict[int, tuple[float, bool]] = {}
        self._lacking: dict[tuple[int, int], float] = {}  # (mode, unit) → since when its list is known to be unknown

    def feed(self, now: float, unit: int, payload: bytes) -> bool:
        """File an answer to mode 03 or 07.

        Args:
            now: seconds, on the time line that `snapshot` is asked on.
            unit: the identifier that answered.
            payload: the whole answer.

        Returns:
            Whether it was one; what is shorter than it says is none.
        """
        if payload[:1] == bytes([_NEGATIVE]) and len(payload) > 2 and payload[2] not in _NO_SUCH_SERVICE:
            self.begun(now, unit, payload[1] + ANSWERED)
        mode = payload[0] - ANSWERED if payload else 0
        if mode not in self._lists:
            return False
        if len(payload) < 2 or len(payload) < 2 + 2 * payload[1]:
            self.begun(now, unit, payload[0])
            return False
        self._lacking.pop((mode, unit), None)
        pairs = [payload[at : at + 2] for at in range(2, 2 + 2 * payload[1], 2)]
        self._lists[mode][unit] = (now, tuple(code(pair) for pair in pairs if pair != _NO_CODE))
        return True

    def begun(self, now: float, unit: int, first: int) -> None:
        """Note an answer whose codes are still to come: until it is whole, what the unit has is not known.

        Args:
            now: seconds.
            unit: the identifier that answers.
            first: first byte of the answer, of any service.
        """
        if first - ANSWERED in self._lists:
            self._lacking[first - ANSWERED, unit] = now

    def lamp(self, now: float, unit: int, status: bytes) -> None:
        """File what a unit says of its malfunction lamp: the data of MONITOR_STATUS."""
        self._lamps[unit] = (now, bool(status[0] & 0x80))

    def snapshot(self, now: float) -> dict[str, object]:
        """What is known at a moment.

        Args:
            now: seconds.

        Returns:
            Leaves of `custom`; what is not known wholly is left out.
        """
        found: dict[str, object] = {}
        for mode, units in self._lists.items():
            limit = _MISSED * PERIODS[mode] + _SLACK
            if self._partial(now, mode, limit):
                continue
            lists = [each for each in units.values() if each[1] or now - each[0] <= FORGOTTEN_AFTER]
            if lists and all(now - at <= limit for at, _ in lists):
                codes = sorted({each for _, codes in lists for each in codes})
                more = f" and {len(codes) - _MOST} more" if len(codes) > _MOST else ""
                found[_LEAVES[mode]] = (" ".join(codes[:_MOST]) or "none") + more
        if self._lamps and all(now - at <= _LAMP_LIMIT for at, _ in self._lamps.values()):
            found[_LAMP] = any(on for _, on in self._lamps.values())
        return found

    def _partial(self, now: float, mode: int, limit: float) -> bool:
        """Whether some unit's list is lacking: it began and did not come whole, or is still to come the first time."""
        return any(
            now - at <= limit and (now - at > _WHOLE_AFTER or unit not in self._lists[mode])
            for (of, unit), at in self._lacking.items()
            if of == mode
        )
