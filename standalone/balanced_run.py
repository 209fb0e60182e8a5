"""What `milepost up` does inside a running box: simulated trucks and shoppers beside it, until the end and the balance.

The simulator is a stranger to this room: the front door hands in the commands to run and the ledger of what was sent.
"""

import logging
import signal
import threading
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from collector import queries
from collector.stores import Reader
from collector.stores.factory import open_reader
from commerce.orders.state import OPEN
from standalone.child_processes import Child
from standalone.standalone import Standalone

log = logging.getLogger(__name__)

DRAIN_SECONDS = 60.0
_HASTE_SECONDS = 4.0
_IDS = 5_000
_RESTART_SECONDS = 1.0


_STAGES = {
    **dict.fromkeys(OPEN, "open"),
    **{state: state for state in ("delivered", "cancelled", "returned")},
}
"""An order's state → where it stands in the summary."""


class SentClicks(Protocol):
    """The shoppers' ledger: events ever made, those without a receipt yet, those refused."""

    @property
    def sent(self) -> int: ...
    @property
    def open(self) -> int: ...
    @property
    def rejected(self) -> int: ...
    def event_ids(self) -> Iterator[str]:
        """Which events these are.

        Returns:
            Every event ever made once, in any order, also those without a receipt.
        """
        ...


class SentOrders(Protocol):
    """The shop's books: each order's state by what was acknowledged, orders without an answer yet, what was refused."""

    @property
    def states(self) -> Mapping[str, str]: ...
    @property
    def open(self) -> int: ...
    @property
    def rejected(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Simulation:
    """commands: name → argv of a child process, given the box. sampled, clicks, orders: what they say they sent.

    asked: name → how many trucks or shoppers that process was told to run. order_states: order_id → state, as the
    orders' database has it.
    """

    commands: Mapping[str, Sequence[str]]
    asked: Mapping[str, int]
    sampled: Callable[[Path], Mapping[str, int]]
    clicks: Callable[[Path], SentClicks]
    orders: Callable[[Path], SentOrders]
    order_states: Callable[[Sequence[str]], Mapping[str, str]]


@dataclass(slots=True)
class BalancedRun:
    """One run of `up` on a box that has been entered."""

    box: Standalone
    store_url: str
    simulation: Simulation
    stop: threading.Event
    _children: dict[str, Child] = field(default_factory=dict)
    _restarts: dict[str, int] = field(default_factory=dict)
    _alive_until_the_end: set[str] = field(default_factory=set)
    _sampled_before: Mapping[str, int] = field(default_factory=dict)
    _clicks_before: int = 0

    def go(self, ends_at: float | None, show: Callable[[Reader, float | None], None]) -> dict[str, Any]:
        """Run until `ends_at` (Unix seconds) or `stop`; the summary. `show` is called about once a second.

        At the end the shoppers send what they have and go. The trucks have stopped sampling, and stay for up to
        DRAIN_SECONDS: only a truck that is there can be asked for a hole.
        """
        self._sampled_before = self.simulation.sampled(self.box.folder)
        self._clicks_before = self.simulation.clicks(self.box.folder).sent
        for name in self.simulation.commands:
            self._spawn(name)
        reader = open_reader(self.store_url)
        assert reader is not None, "the box has made its store"
        with closing(reader):
            while not self.stop.wait(_RESTART_SECONDS):
                left = None if ends_at is None else ends_at - time.time()
                if left is not None and left <= 0:
                    break
                self._revive()
                show(reader, left)
            self._alive_until_the_end = {name for name, child in self._children.items() if _lives(child)}
            if not self.stop.is_set():
                deadline = time.monotonic() + DRAIN_SECONDS
                self._end_children(DRAIN_SECONDS / 2, but="trucks")
                self._settle(reader, show, deadline)
            self._end_children(_HASTE_SECONDS)
            return self.summary(reader)

    def _settle(self, reader: Reader, show: Callable[[Reader, float | None], None], deadline: float) -> None:
        """Give gap repair time to make it balance."""
        while not self.stop.wait(0.25) and time.monotonic() < deadline:
            if delivered(self.summary(reader)):
                return
            show(reader, 0.0)

    def _spawn(self, name: str) -> None:
        argv = self.simulation.commands[name]
        self._children[name] = self.box.children.spawn(
            argv, name=name, log=self.box.folder / f"{name}.log", death_signal=signal.SIGKILL
        )

    def _revive(self) -> None:
        for name, child in self._children.items():
            if not _lives(child):
                log.warning("simulator_died name=%s returncode=%s", name, child.returncode)
                self._restarts[name] = self._restarts.get(name, 0) + 1
                self._spawn(name)

    def _end_children(self, seconds: float, *, but: str = "") -> None:
        """Ask them to end, then wait for each: they send what they still have."""
        deadline = time.monotonic() + seconds
        ending = [child for name, child in self._children.items() if name != but]
        for child in ending:
            child.signal(signal.SIGTERM)
        for child in ending:
            child.wait(max(0.0, deadline - time.monotonic()))

    def summary(self, reader: Reader) -> dict[str, Any]:
        """`{trucks: […], clicks: {sent, counted, rejected}, orders}` of everything in this data directory.

        `orders` is `{placed, delivered, open, cancelled, returned, differing, unanswered, rejected}`: what was placed
        by the shop's books, where it is by the orders' database, and of how many orders the two differ.
        And `simulation`: for each process of this run `{asked, ran, restarts, log}`, in trucks or shoppers.
        """
        sent = self.simulation.clicks(self.box.folder)
        ids = sent.event_ids()
        counted = 0
        while some := list(islice(ids, _IDS)):
            counted += len(reader.has_clicks(some))
        sampled = self.simulation.sampled(self.box.folder)
        return {
            "trucks": queries.balanced(reader, sampled),
            "clicks": {"sent": sent.sent, "counted": counted, "rejected": sent.rejected},
            "orders": self._orders(),
            "simulation": {name: self._process(name, sampled, sent.sent) for name in self.simulation.commands},
        }

    def _orders(self) -> dict[str, int]:
        books = self.simulation.orders(self.box.folder)
        kept = self.simulation.order_states(list(books.states))
        found = Tally(_STAGES.get(state, "other") for state in kept.values())
        differing = sum(kept.get(order_id) != state for order_id, state in books.states.items())
        return {
            "placed": len(books.states),
            **{stage: found[stage] for stage in ("delivered", "open", "cancelled", "returned")},
            "differing": differing,
            "unanswered": books.open,
            "rejected": books.rejected,
        }

    def _process(self, name: str, sampled: Mapping[str, int], clicks: int) -> dict[str, Any]:
        """All ran if their process lived from start to end; else those count from which something came in this run."""
        asked, restarts = self.simulation.asked[name], self._restarts.get(name, 0)
        if name in self._alive_until_the_end and not restarts and _well(self._children[name]):
            ran = asked
        elif name == "trucks":
            ran = sum(count > self._sampled_before.get(truck, 0) for truck, count in sampled.items())
        else:
            ran = asked if clicks > self._clicks_before else 0
        return {"asked": asked, "ran": ran, "restarts": restarts, "log": str(self.box.folder / f"{name}.log")}


def _well(child: Child) -> bool:
    """It runs, has ended as it should, or was ended by this process."""
    return child.alive or child.returncode in (0, -signal.SIGTERM, -signal.SIGKILL)


def _lives(child: Child) -> bool:
    """It runs, or has ended by itself as it should."""
    return child.alive or child.returncode == 0


def balanced(summary: Mapping[str, Any]) -> bool:
    """Whether all that was asked for ran, and all of it was `delivered`.

    Args:
        summary: what `milepost up` prints at its end (docs/commands.md).

    Returns:
        False is exit code 1 of `up`.
    """
    return delivered(summary) and all(each["ran"] >= each["asked"] for each in summary["simulation"].values())


def delivered(summary: Mapping[str, Any]) -> bool:
    """Every sample stored or dead-lettered, no hole, nothing twice, every click counted or refused, every order where
    the shop's books have it."""
    clicks = summary["clicks"]
    whole = clicks["sent"] == clicks["counted"] + clicks["rejected"] and orders_balanced(summary["orders"])
    return whole and all(map(truck_balanced, summary["trucks"]))


def orders_balanced(orders: Mapping[str, int]) -> bool:
    """Orders placed = delivered + open + cancelled + returned, each as the shop's books say, and none refused."""
    kept = sum(orders[stage] for stage in ("delivered", "open", "cancelled", "returned"))
    return orders["placed"] == kept and not orders["differing"] + orders["unanswered"] + orders["rejected"]


def truck_balanced(row: Mapping[str, Any]) -> bool:
    """One row of the summary."""
    whole = row["sampled"] == row["stored"] + row["dead_lettered"]
    return bool(whole and row["holes"] == 0 and row["counted_twice"] == 0)
