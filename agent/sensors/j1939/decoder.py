"""Keeps what every control unit of one bus said last, and says what of it is true at a moment.

Promises: never raises, whatever the bytes; a value is the newest of its source and younger than its limit, else the
leaf has a reason. Frames are only filed as they come (a busy bus brings 1,500 a second), and decoded when one asks.

When several sources give one leaf, the parameter that stands first in the table wins, then the lowest source address
(the engine, 0, before all others); a source without a value never hides one that has it. Fault lists are joined.
"""

from collections.abc import Iterable

from agent.sensors.j1939.faults import DM1_LIMIT, DM1_PGN, decode_dm1
from agent.sensors.j1939.frame import Frame
from agent.sensors.j1939.signals import CORNERS, PGNS, SIGNALS, TIRE_PGN, TIRE_PRESSURE, corners
from agent.sensors.j1939.transport import TP_CM, TP_DT, Reassembler
from agent.sensors.leaves import ACTIVE_FAULTS, REASONS, Reason

_NO_LOCATION = 0xFF


class Decoder:
    """One bus. `feed` it in the order heard; `snapshot` at any time, as often as wanted."""

    def __init__(self) -> None:
        self.transport = Reassembler()
        self._heard: dict[int, dict[int, tuple[float, bytes]]] = {pgn: {} for pgn in (*PGNS, DM1_PGN)}
        self._tyres: dict[tuple[int, int], tuple[float, bytes]] = {}

    def feed(self, now: float, frame: Frame) -> None:
        """Files one frame. `now`: seconds on any time line that runs evenly, the same as `snapshot` is asked on."""
        if not frame.extended:
            return
        pgn = frame.pgn
        if pgn in self._heard:
            self._file(now, pgn, frame.source, frame.data)
        elif pgn in (TP_DT, TP_CM):
            message = self.transport.feed(now, frame)
            if message is not None and message.pgn in self._heard:
                self._file(now, message.pgn, message.source, message.data)

    def _file(self, now: float, pgn: int, source: int, data: bytes) -> None:
        if pgn != TIRE_PGN:
            self._heard[pgn][source] = (now, data)
        elif data and data[0] != _NO_LOCATION:
            self._tyres[data[0], source] = (now, data)

    def snapshot(self, now: float) -> tuple[dict[str, object], dict[str, Reason]]:
        """(leaf → value, leaf → why not) for every leaf that J1939 can give; the two never share a leaf."""
        found: dict[str, list[float | Reason]] = {}
        for signal in SIGNALS:
            for _, (heard, data) in sorted(self._heard[signal.pgn].items()):
                found.setdefault(signal.leaf, []).append(
                    signal.decode(data) if now - heard <= signal.limit else "stale"
                )
        found |= self._tyre_pressures(now)
        values: dict[str, object] = {}
        quality: dict[str, Reason] = {}
        for leaf in (*(signal.leaf for signal in SIGNALS), *CORNERS):
            value = next((outcome for outcome in found.get(leaf, ()) if not isinstance(outcome, str)), None)
            if value is None:
                quality[leaf] = _worst(outcome for outcome in found.get(leaf, ()) if isinstance(outcome, str))
            else:
                values[leaf] = value
        self._faults(now, values, quality)
        return values, quality

    def _tyre_pressures(self, now: float) -> dict[str, list[float | Reason]]:
        place = corners({location for location, _ in self._tyres})
        return {
            leaf: [
                TIRE_PRESSURE.decode(data, leaf) if now - heard <= TIRE_PRESSURE.limit else "stale"
                for (at, _), (heard, data) in sorted(self._tyres.items())
                if at == location
            ]
            for leaf, location in place.items()
        }

    def _faults(self, now: float, values: dict[str, object], quality: dict[str, Reason]) -> None:
        """The active faults of all sources heard lately, each with its source; an empty list is a measurement."""
        heard = sorted(self._heard[DM1_PGN].items())
        fresh = [(source, decode_dm1(data)) for source, (at, data) in heard if now - at <= DM1_LIMIT]
        if any(dm1 is not None for _, dm1 in fresh):
            values[ACTIVE_FAULTS] = [
                {"spn": fault.spn, "fmi": fault.fmi, "count": fault.occurrences, "source": source}
                for source, dm1 in fresh
                if dm1 is not None
                for fault in dm1.faults
            ]
        elif fresh:
            quality[ACTIVE_FAULTS] = "error"
        else:
            quality[ACTIVE_FAULTS] = "stale" if heard else "not_available"


def _worst(reasons: Iterable[Reason]) -> Reason:
    return max(reasons, key=REASONS.index, default="not_available")
