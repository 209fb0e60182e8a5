"""Reads DM1, the active diagnostic trouble codes of one control unit (SAE J1939-73 §5.7.1)."""

from collections.abc import Collection
from typing import NamedTuple

from agent.sensors.can_frame import Frame
from agent.sensors.fields import LAMPS
from agent.sensors.j1939.transport_protocol import TP_CM

DM1_PGN = 65226
DM1_LIMIT = 30.0
"""Seconds of silence after which a source's faults are stale: due once a second, but a long one takes 13 s to send."""

DM1_TURN = 2.0
"""Seconds within which every unit says its faults, or announces that it will."""

FORGOTTEN_AFTER = 3600.0
"""Seconds after which a silent unit that had no fault is taken for gone, such as a trailer's that was unhitched."""

_NONE = (b"\x00\x00\x00\x00", b"\xff\xff\xff\xff")
_COUNT_UNKNOWN = 127


class Fault(NamedTuple):
    """One trouble code: suspect parameter, failure mode, occurrences (None: not counted)."""

    spn: int
    fmi: int
    occurrences: int | None


class Dm1(NamedTuple):
    """One DM1. Each lamp is 0 off, 1 on, 2 error, 3 not available; codes in the order sent, repeats included."""

    protect: int
    amber_warning: int
    red_stop: int
    malfunction: int
    faults: tuple[Fault, ...]


def decode_dm1(data: bytes) -> Dm1 | None:
    """A DM1 payload of any length; None where it is too short to hold lamps and one code.

    SPNs are read as conversion method 4 (and 3, whose bytes are the same); methods 1 and 2, long obsolete, cannot be
    told apart on the wire. Bytes left over at the end are padding.
    """
    if len(data) < 6:
        return None
    lamps = data[0]
    codes = (data[at : at + 4] for at in range(2, len(data) - 3, 4))
    faults = tuple(_fault(code) for code in codes if code not in _NONE)
    return Dm1(lamps & 3, lamps >> 2 & 3, lamps >> 4 & 3, lamps >> 6 & 3, faults)


def lamps(reports: Collection[Dm1]) -> dict[str, bool]:
    """Which warning lamps the control units ask for.

    Args:
        reports: the newest DM1 of each unit that reports faults, none of them missing.

    Returns:
        Leaf (agent.sensors.fields.LAMPS) → on: true where any unit asks for it, false where all that can say so do
        not; left out where none of them says anything.
    """
    found: dict[str, bool] = {}
    for place, leaf in enumerate(LAMPS):
        states = [report[place] for report in reports if report[place] in (0, 1)]
        if states:
            found[leaf] = 1 in states
    return found


def _fault(code: bytes) -> Fault:
    count = code[3] & 0x7F
    spn = code[0] | code[1] << 8 | (code[2] & 0xE0) << 11
    return Fault(spn, code[2] & 0x1F, None if count == _COUNT_UNKNOWN else count)


_BROADCAST, _REQUEST_TO_SEND = 32, 16
_PACKET_SECONDS, _GRACE = 0.25, 0.75


class FaultReports:
    """Which units announced a DM1 of several packets that was not heard whole: what they report is not known."""

    def __init__(self) -> None:
        self._open: dict[int, tuple[float, int]] = {}  # source → when it must be whole, announcements since the last

    def announced(self, now: float, frame: Frame) -> None:
        """Note a frame that announces a long DM1; others are passed over."""
        data = frame.data
        if frame.pgn != TP_CM or len(data) < 8 or data[0] not in (_BROADCAST, _REQUEST_TO_SEND):
            return
        if int.from_bytes(data[5:8], "little") & 0x3FFFF == DM1_PGN:
            _, before = self._open.get(frame.source, (0.0, 0))
            self._open[frame.source] = (now + data[3] * _PACKET_SECONDS + _GRACE, before + 1)

    def came_upon(self, now: float, source: int) -> None:
        """Note a unit in the middle of a long message that nobody heard announced: it may be its faults."""
        self._open.setdefault(source, (now, 2))

    def heard(self, source: int) -> None:
        """A unit's DM1 was heard whole."""
        self._open.pop(source, None)

    def partial(self, now: float) -> bool:
        """Whether some unit's faults are known in part only, within the time for which a DM1 holds."""
        return any(
            (now > due or announcements > 1) and now - due <= DM1_LIMIT for due, announcements in self._open.values()
        )
