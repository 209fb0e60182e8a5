"""Which control unit's odometer is believed: the better one's while it speaks, also over restarts. Pure.

A truck has several odometers. The tachograph and the instrument cluster carry the one on the dashboard; an engine that
was built into another truck, or a gearbox, counts its own life. So sources have a rank, and

- a better source is believed from its second consistent read on, whatever was believed before;
- a lesser one is taken only while the better one is silent, and only where it goes on from what that said last. Where
  it contradicts that, there is no value, until the better one has been silent for `GIVEN_UP` seconds;
- a leap within one source is believed when it has stayed for `PERSISTENT` seconds and three reads (an instrument
  cluster was replaced); a source that has not said the same for three reads yet may correct itself at the second.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from agent.sensors.plausibility import PERSISTENT, odometer_follows
from contract.codec import Json

GIVEN_UP = 3600.0
"""Seconds of hearing others after which a silent source is taken for removed."""

TACHOGRAPH, INSTRUMENT_CLUSTER = 238, 23
"""Preferred addresses of SAE J1939 (appendix B)."""

_READS = 3
_CONTENDERS = 32


class Rank(NamedTuple):
    """Lower is better: the unit's kind, then the parameter's place in the table, then the source address."""

    unit: int
    parameter: int
    source: int


def unit_rank(source: int) -> int:
    """The kind of a J1939 unit, by its address."""
    return {TACHOGRAPH: 0, INSTRUMENT_CLUSTER: 1}.get(source, 2)


@dataclass(slots=True)
class _Said:
    value: float
    since: float
    at: float
    reads: int = 1

    def goes_on(self, now: float, value: float) -> bool:
        return odometer_follows(max(0.0, now - self.at), self.value, value)


class OdometerBelief:
    """One bus."""

    def __init__(self) -> None:
        self._rank: Rank | None = None
        self._held = _Said(0.0, 0.0, 0.0)
        self._contenders: dict[Rank, _Said] = {}
        self._began: float | None = None

    def choose(self, now: float, candidates: Sequence[tuple[Rank, float]]) -> float | None:
        """The odometer (km) to go by, of what fresh sources say at `now` (s); None where none can be true. Once a read.

        candidates: at most one value for each rank, in any order.
        """
        self._began = now if self._began is None else self._began
        for rank, value in sorted(candidates):
            if self._rank is None:
                return self._believe(now, rank, value, reads=1)
            if rank == self._rank and self._held.goes_on(now, value):
                return self._believe(now, rank, value, reads=self._held.reads + 1)
            if rank <= self._rank and self._persists(now, rank, value):
                return self._believe(now, rank, value, reads=self._contenders[rank].reads)
            if rank > self._rank and self._held.goes_on(now, value):
                return value
            if rank > self._rank and now - max(self._held.at, self._began) > GIVEN_UP:
                return self._believe(now, rank, value, reads=1)
        return None

    def memory(self, now: float) -> dict[str, Json] | None:
        """What `recall` needs after a restart; None before anything was believed. age: seconds since it was heard."""
        if self._rank is None:
            return None
        return {"rank": list(self._rank), "value": self._held.value, "age": now - self._held.at}

    def recall(self, now: float, memory: Mapping[str, Json], age: float) -> None:
        """Believe what an earlier process remembered `age` seconds ago; what cannot be understood is passed over."""
        match memory:
            case {"rank": [int() as unit, int() as parameter, int() as source], "value": float() | int() as value}:
                self._rank = Rank(unit, parameter, source)
                self._held = _Said(float(value), now - age, now - age, _READS)

    def _believe(self, now: float, rank: Rank, value: float, *, reads: int) -> float:
        since = self._held.since if rank == self._rank and reads > 1 else now
        self._rank, self._held = rank, _Said(value, since, now, reads)
        self._contenders.pop(rank, None)
        return value

    def _persists(self, now: float, rank: Rank, value: float) -> bool:
        """Files what is not believed, and says whether it has stayed long enough."""
        said = self._contenders.get(rank)
        if said is None or not said.goes_on(now, value):
            self._contenders[rank] = _Said(value, now, now)
            if len(self._contenders) > _CONTENDERS:
                del self._contenders[next(iter(self._contenders))]
            return False
        said.reads += now > said.at
        said.value, said.at = value, now
        if (self._rank is not None and rank < self._rank) or self._held.reads < _READS:
            return said.reads >= 2
        return said.reads >= _READS and now - said.since >= PERSISTENT
