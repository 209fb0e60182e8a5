"""The end of every run: each sample in the trucks' ledger is in the store once, and nothing else is."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from simulator import sent_ledger
from simulator.scenario.store_watch import Held, held


@dataclass(frozen=True, slots=True)
class Balance:
    """Counts of samples. lost: in the ledger and not in the store. counted_twice: rows of the store beyond one for each
    sample. unknown: in the store and not in the ledger. trucks: those of which something is wrong, at most five."""

    sampled: int
    stored: int
    lost: int
    counted_twice: int
    unknown: int
    trucks: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether nothing is lost, doubled or invented."""
        return not (self.lost or self.counted_twice or self.unknown)

    def document(self) -> dict[str, Any]:
        """As it is printed and recorded."""
        return {**asdict(self), "trucks": list(self.trucks)}


def balance(sampled: Mapping[str, int], stored: Mapping[str, Held]) -> Balance:
    """The ledger (truck_id → samples ever taken) against the store."""
    nothing = Held(0, 0)
    lost = twice = unknown = 0
    wrong: list[str] = []
    for truck_id in sorted({*sampled, *stored}):
        taken, there = sampled.get(truck_id, 0), stored.get(truck_id, nothing)
        missing, more, doubled = max(0, taken - there.different), there.different - taken, there.rows - there.different
        lost, unknown, twice = lost + missing, unknown + max(0, more), twice + doubled
        if missing or more > 0 or doubled:
            wrong.append(truck_id)
    rows = sum(each.rows for each in stored.values())
    return Balance(sum(sampled.values()), rows, lost, twice, unknown, tuple(wrong[:5]))


def wait_until_whole(ledger: Path, store: Path, seconds: float) -> Balance:
    """The balance as soon as it is whole, else that after so many seconds."""
    until = time.monotonic() + seconds
    while True:
        found = balance(sent_ledger.sampled(ledger), held(store))
        if found.whole or time.monotonic() > until:
            return found
        time.sleep(0.25)
