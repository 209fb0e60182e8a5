"""What is recorded while a run goes on: arrivals and latency in the store, the trucks' ledger, CPU and memory.

A thread of its own that looks into the store twenty times a second, so that a latency is right to 50 ms, and writes a
tick about once a second.
"""

import os
import sqlite3
import threading
from pathlib import Path
from typing import Any, Self

from simulator import sent_ledger
from simulator.run_record import RunRecord
from simulator.scenario.installation import Installation
from simulator.scenario.store_watch import StoreWatch

NEVER = "9999"
"""A `live_from` that is not known as yet."""

_LOOK_S, _TICK_S = 0.05, 1.0
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Observer:
    """Use as a context, while the service runs.

    live_from: samples taken before this time (RFC 3339) are backlog; may be set while it runs.
    timed: whether simulated time is wall time, so that a sample has a latency. latencies: seconds from sampling to
    being queryable of every live sample, as they came. most: process → the most CPU seconds and MB it was seen with.
    """

    def __init__(
        self, record: RunRecord, installation: Installation, *, live_from: str = "", timed: bool = True
    ) -> None:
        self._record, self._installation = record, installation
        self.live_from, self._timed = live_from, timed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="observer", daemon=True)
        self.latencies: list[float] = []
        self.stored = 0
        self.most: dict[str, dict[str, float]] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        watch = StoreWatch(self._installation.store, live_from=self.live_from)
        pause = round(_TICK_S / _LOOK_S)
        arrived, latencies, looks = 0, [], 0
        while not self._stop.wait(_LOOK_S):
            watch.live_from = self.live_from
            try:
                found = watch.look()
            except sqlite3.OperationalError:  # the disk is full or the store busy, on purpose: the next look sees it
                continue
            arrived += found.count
            latencies += found.latencies
            looks += 1
            if looks >= pause:
                self._tick(arrived, latencies)
                arrived, latencies, looks = 0, [], 0
        self._tick(arrived, latencies)
        watch.close()

    def _tick(self, arrived: int, latencies: list[float]) -> None:
        self.stored += arrived
        figures: dict[str, Any] = {"arrived": arrived, "stored": self.stored}
        if self._timed:
            self.latencies += latencies
            if latencies:
                figures |= {"p50": percentile(latencies, 0.5), "p99": percentile(latencies, 0.99)}
        running = self._installation.pids()
        progress = sent_ledger.progress(self._installation.ledger)
        if progress:
            figures |= {name: progress[name] for name in ("online", "sampled", "pending")}
            if "trucks" not in running:  # its last line is older than that
                figures["online"] = 0
        else:
            figures["sampled"] = sum(sent_ledger.sampled(self._installation.ledger).values())
            figures["pending"] = sum(sent_ledger.pending(self._installation.ledger).values())
        figures["processes"] = {name: used for name, pid in running.items() if (used := usage(pid))}
        for name, used in figures["processes"].items():
            known = self.most.setdefault(name, {"cpu_s": 0.0, "rss_mb": 0.0})
            self.most[name] = {key: max(known[key], used[key]) for key in known}
        self._record.tick(**figures)


def percentile(values: list[float], share: float) -> float:
    """The value below which that share of the values lies."""
    return round(sorted(values)[min(len(values) - 1, int(len(values) * share))], 4)


def usage(pid: int) -> dict[str, float]:
    """CPU seconds since a process began, and its resident memory in MB; {} where it is gone."""
    try:
        with Path(f"/proc/{pid}/stat").open(encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        with Path(f"/proc/{pid}/statm").open(encoding="ascii") as file:
            pages = int(file.read().split()[1])
    except OSError:
        return {}
    cpu = (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS
    return {"cpu_s": round(cpu, 2), "rss_mb": round(pages * _PAGE / 1e6, 1)}
