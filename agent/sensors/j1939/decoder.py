"""Keeps what every control unit of one bus said last, and says what of it is true at a moment.

Promises: never raises, whatever the bytes; a value is the newest of its source and younger than its limit, else the
leaf has a reason. What a snapshot says is decoded when one asks; `since` has the account of all values in between.

When several sources give one leaf, the parameter that stands first in the table wins, then the lowest source address
(the engine, 0, before all others); a source without a value never hides one that has it. Fault lists are joined. A unit
that claims another address takes its last words and its place along (see addresses.py).
Sources that contradict the preferred one are counted in `disagreements` at each snapshot. The odometer has an order of
units of its own, and a memory (see odometer.py).
"""

from collections import Counter
from collections.abc import Iterable

from agent.sensors.can_frame import Frame
from agent.sensors.fields import ACTIVE_FAULTS, REASONS, Reason
from agent.sensors.j1939.addresses import ADDRESS_CLAIM_PGN, NO_ADDRESS, Addresses
from agent.sensors.j1939.faults import (
    DM1_LIMIT,
    DM1_PGN,
    DM1_TURN,
    FORGOTTEN_AFTER,
    Dm1,
    FaultReports,
    decode_dm1,
    lamps,
)
from agent.sensors.j1939.signals import CORNERS, PGNS, SIGNALS, TIRE_PGN, TIRE_PRESSURE, TOTALS, Signal, corners
from agent.sensors.j1939.transport_protocol import TP_CM, TP_DT, Reassembler
from agent.sensors.odometer import OdometerBelief, Rank, unit_rank
from agent.sensors.plausibility import (
    LATITUDE,
    LONGITUDE,
    Disagreement,
    Heard,
    PlaceBelief,
    PositionRule,
    disagreements,
)
from agent.sensors.since_last import Interval, Since, counts

ODOMETER = "odometer_reading"
MAX_TYRES = 256
"""Pairs of place and source that are kept; the one unheard longest gives way."""

_NO_LOCATION = 0xFF
_TYRE = "tyre "
"""Before the location of a tyre whose corner is not known yet."""
_BY_LEAF: dict[str, list[Signal]] = {}
for _signal in SIGNALS:
    _BY_LEAF.setdefault(_signal.leaf, []).append(_signal)
_LEAVES = (*_BY_LEAF, *CORNERS)
_OF_PGN: dict[int, list[tuple[int, Signal]]] = {}
for _signal in SIGNALS:
    if counts(_signal.leaf):
        _OF_PGN.setdefault(_signal.pgn, []).append((_BY_LEAF[_signal.leaf].index(_signal), _signal))


class Decoder:
    """One bus. `feed` it in the order heard; `snapshot` at any time, as often as wanted.

    live: it is come upon in the middle of its traffic, so what needs every unit's word (the list of faults, which tyre
    stands at which corner) is said only when each has had its turn; a recording is begun with a whole round anyway.
    """

    def __init__(self, *, live: bool = False) -> None:
        self._live = live
        self._began: float | None = None
        self._first_tyre: float | None = None
        self.transport = Reassembler()
        self._heard: dict[int, dict[int, tuple[float, bytes]]] = {pgn: {} for pgn in (*PGNS, DM1_PGN)}
        self._tyres: dict[tuple[int, int], tuple[float, bytes]] = {}
        self.since = Since()
        self.odometer = OdometerBelief()
        self.position = PositionRule()
        self._reports = FaultReports()
        self._addresses = Addresses()
        self._homeless: dict[bytes, tuple[float, tuple[float, bytes]]] = {}  # NAME → awaited until, its last DM1
        self._owners: dict[str, int] = {}  # leaf of a total → the rank of the best source that ever said it
        self.disagreements: Counter[Disagreement] = Counter()

    @property
    def beliefs(self) -> dict[str, OdometerBelief | PlaceBelief]:
        """What outlives a process."""
        return {"odometer": self.odometer, "position": self.position.place}

    def feed(self, now: float, frame: Frame) -> None:
        """Files one frame. `now`: seconds on any time line that runs evenly, the same as `snapshot` is asked on."""
        if not frame.extended:
            return
        self._began = now if self._began is None else self._began
        pgn = frame.pgn
        if pgn in self._heard:
            self._file(now, pgn, frame.source, frame.data)
        elif pgn == ADDRESS_CLAIM_PGN:
            self._claimed(now, frame)
        elif pgn in (TP_DT, TP_CM):
            self._reports.announced(now, frame)
            orphans = self.transport.counts["orphans"]
            message = self.transport.feed(now, frame)
            if self._settling(now) and self.transport.counts["orphans"] > orphans:
                self._reports.came_upon(now, frame.source)
            if message is not None and message.pgn in self._heard:
                self._file(now, message.pgn, message.source, message.data)

    def _claimed(self, now: float, frame: Frame) -> None:
        """A unit has another address from now on; what it said last stays its word."""
        claim = self._addresses.claim(frame)
        if claim is None:
            return
        self._homeless = {name: each for name, each in self._homeless.items() if now <= each[0]}
        if claim.ousted is not None and (last := self._moved_out(frame.source).get(DM1_PGN)):
            self._homeless[claim.ousted] = now + DM1_LIMIT, last  # one that is still there answers within a second
        words = self._moved_out(claim.left) if claim.left is not None else {}
        if claim.name in self._homeless:
            words[DM1_PGN] = self._homeless.pop(claim.name)[1]
        if frame.source < NO_ADDRESS:
            for pgn, word in words.items():
                self._heard[pgn][frame.source] = max(word, self._heard[pgn].get(frame.source, word))
        elif DM1_PGN in words:
            self._homeless[claim.name] = now + FORGOTTEN_AFTER, words[DM1_PGN]
        if len(self._homeless) > NO_ADDRESS:
            del self._homeless[next(iter(self._homeless))]

    def _moved_out(self, source: int) -> dict[int, tuple[float, bytes]]:
        """What was said last from an address, which is not said from there any more."""
        self._reports.heard(source)
        return {pgn: heard.pop(source) for pgn, heard in self._heard.items() if source in heard}

    def _file(self, now: float, pgn: int, source: int, data: bytes) -> None:
        if pgn == DM1_PGN:
            self._reports.heard(source)
            for fault in dm1.faults if (dm1 := decode_dm1(data)) else ():
                self.since.code(now, (fault.spn, fault.fmi, source))
        for place, signal in _OF_PGN.get(pgn, ()):
            value = signal.decode(data)
            if not isinstance(value, str):
                rank = place, self._addresses.rank(source)
                self.since.value(now, signal.leaf, value, rank=rank, limit=signal.limit)
        if pgn != TIRE_PGN:
            self._heard[pgn][source] = (now, data)
        elif data and data[0] != _NO_LOCATION:
            pressure = TIRE_PRESSURE.decode(data, CORNERS[0])
            if not isinstance(pressure, str):
                self.since.value(now, _TYRE + str(data[0]), pressure, rank=(0, source), limit=TIRE_PRESSURE.limit)
            self._first_tyre = now if self._first_tyre is None else self._first_tyre
            self._tyres.pop((data[0], source), None)  # so that the first in the dict is the one unheard longest
            self._tyres[data[0], source] = (now, data)
            if len(self._tyres) > MAX_TYRES:
                del self._tyres[next(iter(self._tyres))]

    def snapshot(self, now: float) -> tuple[dict[str, object], dict[str, Reason]]:
        """What is true at a moment.

        Args:
            now: seconds, on the time line of `feed`.

        Returns:
            (leaf → value, leaf → why not) for every wire leaf that J1939 can give; the two never share a leaf. Leaves
            of `custom` (totals, second tank, lamps) are among the values where they are known, and else nowhere.
        """
        found = {leaf: self._found(now, signals) for leaf, signals in _BY_LEAF.items()} | self._tyre_pressures(now)
        _pair(found)
        found[ODOMETER] = self._odometer(now)
        values: dict[str, object] = {}
        quality: dict[str, Reason] = {}
        for leaf in _LEAVES:
            outcomes = found.get(leaf, [])
            chosen = self._choose(leaf, [outcome for outcome in outcomes if isinstance(outcome, Heard)])
            if isinstance(chosen, float):
                values[leaf] = chosen
            else:
                quality[leaf] = chosen or _worst(outcome for outcome in outcomes if isinstance(outcome, str))
        self.position.apply(now, values, quality)
        self._faults(now, values, quality)
        for signal in TOTALS:
            if said := [each for each in self._found(now, [signal]) if isinstance(each, Heard)]:
                rank = self._addresses.rank(said[0].source)
                owner = self._owners[signal.leaf] = min(rank, self._owners.get(signal.leaf, rank))
                if rank == owner:  # another unit counts its own life, also while the better one is silent
                    values[signal.leaf] = said[0].value
        return values, quality

    def end_interval(self, now: float) -> Interval | None:
        """See agent.sensors.can_sensor.BusDecoder. Which tyre stands at which corner is known only now."""
        interval = self.since.end_interval(now)
        if interval is None:
            return None
        place = self._corners(now)
        tyres = {leaf: interval.spreads.get(_TYRE + str(location)) for leaf, location in place.items()}
        others = {leaf: spread for leaf, spread in interval.spreads.items() if not leaf.startswith(_TYRE)}
        return interval._replace(spreads=others | {leaf: spread for leaf, spread in tyres.items() if spread})

    def _found(self, now: float, signals: Iterable[Signal]) -> list[Heard | Reason]:
        """What each source says by each signal, the preferred first."""
        return [
            _outcome(now, signal, source, heard)
            for signal in signals
            for source, heard in sorted(self._heard[signal.pgn].items(), key=lambda each: self._addresses.rank(each[0]))
        ]

    def _choose(self, leaf: str, heard: list[Heard]) -> float | Reason | None:
        """The value to go by; None where there is none, so that the sources' reasons stand."""
        if not heard:
            return None
        self.disagreements.update(disagreements(leaf, heard))
        return heard[0].value

    def _odometer(self, now: float) -> list[Heard | Reason]:
        """The one that is believed before the others, or why there is none."""
        ranked: dict[Rank, Heard] = {}
        reasons: list[Heard | Reason] = []
        for place, signal in enumerate(_BY_LEAF[ODOMETER]):
            for source, heard in self._heard[signal.pgn].items():
                outcome = _outcome(now, signal, source, heard)
                if isinstance(outcome, Heard):
                    rank = self._addresses.rank(source)
                    ranked[Rank(unit_rank(rank), place, rank)] = outcome
                else:
                    reasons.append(outcome)
        if not ranked:
            return reasons
        believed = self.odometer.choose(now, [(rank, heard.value) for rank, heard in ranked.items()])
        others = [ranked[rank] for rank in sorted(ranked)]
        if believed is None:
            self.disagreements.update(disagreements(ODOMETER, others))
            return ["implausible"]
        return [*sorted(others, key=lambda heard: heard.value != believed)]

    def _tyre_pressures(self, now: float) -> dict[str, list[Heard | Reason]]:
        place = self._corners(now)
        return {
            leaf: [
                _outcome(now, TIRE_PRESSURE, source, heard, leaf)
                for (at, source), heard in sorted(self._tyres.items())
                if at == location
            ]
            for leaf, location in place.items()
        }

    def _corners(self, now: float) -> dict[str, int]:
        """Corner → location, once every tyre has had its turn: of half of them an inner one may look like an outer."""
        if self._live and (self._first_tyre is None or now - self._first_tyre < TIRE_PRESSURE.period):
            return {}
        return corners({location for location, _ in self._tyres})

    def _settling(self, now: float) -> bool:
        """Whether some unit may not have had its turn to report faults since the bus was come upon."""
        return self._live and self._began is not None and now - self._began < DM1_TURN

    def _faults(self, now: float, values: dict[str, object], quality: dict[str, Reason]) -> None:
        """The active faults of all sources heard lately, each with its source; an empty list is a measurement."""
        if self._settling(now):
            quality[ACTIVE_FAULTS] = "stale"  # not "none has it": another bus' list would be taken for the whole
            return
        heard = {source: (at, decode_dm1(data)) for source, (at, data) in sorted(self._heard[DM1_PGN].items())}
        partial = self._reports.partial(now)
        fresh = {source: dm1 for source, (at, dm1) in heard.items() if now - at <= DM1_LIMIT and dm1 is not None}
        homeless = any(now <= until for until, _ in self._homeless.values())
        if not fresh and not partial and not homeless:
            unreadable = any(now - at <= DM1_LIMIT for at, _ in heard.values())
            quality[ACTIVE_FAULTS] = "error" if unreadable else "stale" if heard else "not_available"
            return
        missing = [source for source, (at, dm1) in heard.items() if source not in fresh and _counts(now - at, dm1)]
        if partial or missing or homeless:  # a list without one unit's faults would say that they have gone
            quality[ACTIVE_FAULTS] = "error" if partial else "stale"
            return
        values[ACTIVE_FAULTS] = [
            {"spn": fault.spn, "fmi": fault.fmi, "count": fault.occurrences, "source": source}
            for source, dm1 in fresh.items()
            for fault in dm1.faults
        ]
        values |= lamps(fresh.values())


def _counts(silent: float, last: Dm1 | None) -> bool:
    """Whether a silent unit is still waited for: as long as its last word was a fault, else for an hour."""
    return bool(last and last.faults) or silent <= FORGOTTEN_AFTER


def _pair(found: dict[str, list[Heard | Reason]]) -> None:
    """A position is one message's: of the sources that say half of one, nothing is taken."""
    if not found.get(LATITUDE) or not found.get(LONGITUDE):
        return
    pairs = list(zip(found[LATITUDE], found[LONGITUDE], strict=False))
    whole = [pair for pair in pairs if isinstance(pair[0], Heard) and isinstance(pair[1], Heard)]
    if whole:
        found[LATITUDE], found[LONGITUDE] = [pair[0] for pair in whole], [pair[1] for pair in whole]
    else:
        reasons: list[Heard | Reason] = [each for pair in pairs for each in pair if isinstance(each, str)]
        found[LATITUDE], found[LONGITUDE] = reasons, list(reasons)


def _outcome(now: float, signal: Signal, source: int, heard: tuple[float, bytes], leaf: str = "") -> Heard | Reason:
    at, data = heard
    if now - at > signal.limit:
        return "stale"
    value = signal.decode(data, leaf)
    return value if isinstance(value, str) else Heard(source, at, signal.period, value)


def _worst(reasons: Iterable[Reason]) -> Reason:
    return max(reasons, key=REASONS.index, default="not_available")
