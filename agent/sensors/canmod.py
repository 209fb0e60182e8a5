"""The frames of a CANmod.gps receiver, identifiers 001 to 009, for replays (its DBC lies beside the recordings). Pure.

Eleven-bit identifiers mean something else on every bus. So an interface counts as such a receiver's only while nothing
but these nine identifiers, each of its own length, is heard on it; one foreign frame, and nothing of it is believed.
"""

from collections.abc import Callable

from agent.sensors.can_frame import Frame
from agent.sensors.fields import Reason, settle
from agent.sensors.plausibility import PositionRule

LIMIT = 5.0
"""Seconds of silence (due once a second) after which a value is stale."""

MAX_INTERFACES = 16
"""Interfaces of a recording that are looked at."""

_LENGTHS = {1: 1, 2: 6, 3: 8, 4: 4, 5: 8, 6: 8, 7: 5, 8: 2, 9: 8}
_STATUS, _POSITION, _ALTITUDE, _SPEED = 1, 3, 4, 7
_2D, _3D = frozenset({2, 3, 4}), frozenset({3, 4})  # 0 no fix, 1 dead reckoning, 4 both, 5 time only


def _bits(data: bytes, start: int, length: int) -> int:
    """An Intel-order field of a DBC."""
    return int.from_bytes(data, "little") >> start & ((1 << length) - 1)


_FIELDS: dict[str, tuple[int, frozenset[int], Callable[[bytes], float]]] = {
    "gps_location.latitude": (_POSITION, _2D, lambda data: _bits(data, 1, 28) * 1e-6 - 90),
    "gps_location.longitude": (_POSITION, _2D, lambda data: _bits(data, 29, 29) * 1e-6 - 180),
    "gps_location.altitude": (_ALTITUDE, _3D, lambda data: _bits(data, 1, 18) * 0.1 - 6000),
    "gps_location.speed": (_SPEED, _2D, lambda data: _bits(data, 1, 20) * 0.001 * 3.6),
}
"""Leaf → the frame it stands in, the fixes it needs, how to read it. Bit 0 of each of these frames says `valid`."""


class Canmod:
    """All interfaces of one recording. `feed` in the order heard; `snapshot` at any time."""

    def __init__(self) -> None:
        self._heard: dict[str, dict[int, tuple[float, bytes]] | None] = {}
        self._position = PositionRule()

    def feed(self, now: float, frame: Frame) -> None:
        """Files one frame, or rules its interface out."""
        if frame.interface not in self._heard and len(self._heard) < MAX_INTERFACES:
            self._heard[frame.interface] = {}
        known = self._heard.get(frame.interface)
        if known is None:
            return
        if frame.extended or _LENGTHS.get(frame.can_id) != len(frame.data):
            self._heard[frame.interface] = None
        else:
            known[frame.can_id] = (now, frame.data)

    def snapshot(self, now: float) -> tuple[dict[str, object], dict[str, Reason]]:
        """(leaf → value, leaf → why not); both empty where no such receiver was heard."""
        values: dict[str, object] = {}
        quality: dict[str, Reason] = {}
        heard = next((each for each in self._heard.values() if each and _STATUS in each), None)
        if heard is None:
            return values, quality
        for leaf in _FIELDS:
            outcome = _outcome(now, leaf, heard)
            if isinstance(outcome, str):
                quality[leaf] = outcome
            else:
                values[leaf] = outcome
        self._position.apply(now, values, quality)
        return values, quality


def _outcome(now: float, leaf: str, heard: dict[int, tuple[float, bytes]]) -> float | Reason:
    number, fixes, read = _FIELDS[leaf]
    at, data = heard.get(number, (now, b"\x00"))
    seen, status = heard[_STATUS]
    if now - min(at, seen) > LIMIT:
        return "stale"
    if not data[0] & 1 or _bits(status, 0, 3) not in fixes:
        return "not_available"
    return settle(leaf, read(data))
