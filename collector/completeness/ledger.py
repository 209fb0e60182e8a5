"""The completeness ledger of one truck's stream: what came, what is missing, what to ask for (docs/architecture.md).

Pure: every method gives a new `StreamLedger`; time is an argument (Unix ms). A sequence number is *settled* when it was
received, thinned, reported gone or dead-lettered. What lies between 1 and the highest number known and is not settled
is a *hole*: late while in its grace time or pending on the truck, else asked for, and lost when five asks went
unanswered or the truck says it is gone. A hole that arrives after all is healed like any other.

An ask went *unanswered* when the truck was heard after it. Until then nobody asks again: a truck that is away hears no
ask, and loses nothing by it. When the first word after an ask is a status or a report, the truck may just have come
back: that ask is made once more at once, and the two count as one. So a truck that is heard now and then is asked less
and less often, and no hole hovers: each ask but the repeated ones counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from contract.control_messages import MAX_RESEND_RANGES, Report
from contract.ranges import Ranges

ASKS_UNTIL_LOST = 5
_UNDER_WAY_MS = 2_000  # what comes so soon after an ask was said before it
_FIRST_WAIT_MS = 60_000
_LONGEST_WAIT_MS = 6 * 3_600_000
_HEARD_LATELY_MS = 20 * 60_000  # a report comes every 15 minutes


@dataclass(frozen=True, slots=True)
class Hole:
    """A stretch of missing numbers with one story: noticed when, asked for how often and when last.

    asked_ms: 0 before the first ask, and where the last one is to be made again. repeated: the last one was, or is to
    be, made twice.
    """

    first: int
    last: int
    since_ms: int
    asks: int = 0
    asked_ms: int = 0
    repeated: bool = False

    def due(self, now_ms: int, grace_ms: int, heard_ms: int) -> bool:
        """Is it time to ask for it: after the grace time, then backing off from one minute to six hours."""
        if not self.asked_ms:
            return now_ms - self.since_ms >= grace_ms
        wait = min(_FIRST_WAIT_MS << min(max(self.asks - 1, 0), 20), _LONGEST_WAIT_MS)
        return heard_ms > self.asked_ms and now_ms - self.asked_ms >= wait

    def asked(self, now_ms: int) -> "Hole":
        """After asking for it now."""
        again = self.asks > 0 and not self.asked_ms
        return replace(self, asks=self.asks + (not again), asked_ms=now_ms, repeated=again)

    def woken(self, now_ms: int, heard_ms: int) -> "Hole":
        """After a status or a report now, of a truck that was last heard at `heard_ms`."""
        if not self.asked_ms or self.repeated or not heard_ms <= self.asked_ms <= now_ms - _UNDER_WAY_MS:
            return self
        return replace(self, asked_ms=0, repeated=True)

    def unanswered(self, heard_ms: int) -> int:
        """How many asks the truck has let pass."""
        return self.asks - (not self.asked_ms or heard_ms <= self.asked_ms)


@dataclass(frozen=True, slots=True)
class StreamLedger:
    """The ledger of one stream_id. `heard_ms`: when the truck was last heard on it."""

    received: Ranges = field(default_factory=Ranges)
    thinned: Ranges = field(default_factory=Ranges)
    gone: Ranges = field(default_factory=Ranges)
    dead_lettered: Ranges = field(default_factory=Ranges)
    conflicts: Ranges = field(default_factory=Ranges)
    pending: Ranges = field(default_factory=Ranges)
    highest: int = 0
    closed: bool = False
    heard_ms: int = 0
    holes: tuple[Hole, ...] = ()

    @property
    def settled(self) -> Ranges:
        return self.received | self.thinned | self.gone | self.dead_lettered

    def receive(self, numbers: Ranges, now_ms: int, *, conflicts: Ranges = Ranges()) -> "StreamLedger":  # noqa: B008
        """Samples were stored; `conflicts` are those whose number another content already had."""
        return replace(
            self,
            received=self.received | numbers,
            gone=self.gone - numbers,
            thinned=self.thinned - numbers,
            dead_lettered=self.dead_lettered - numbers,
            pending=self.pending - numbers,
            conflicts=self.conflicts | conflicts,
            highest=max(self.highest, numbers.last),
            heard_ms=max(self.heard_ms, now_ms),
        )._noticed(now_ms)

    def dead_letter(self, numbers: Ranges, now_ms: int) -> "StreamLedger":
        """Samples came and were refused: they are not missing."""
        refused = numbers - self.received
        return replace(
            self,
            dead_lettered=self.dead_lettered | refused,
            gone=self.gone - refused,
            thinned=self.thinned - refused,
            pending=self.pending - refused,
            highest=max(self.highest, numbers.last),
            heard_ms=max(self.heard_ms, now_ms),
        )._noticed(now_ms)

    def reach(self, highest: int, now_ms: int, *, buffered: int | None = None) -> "StreamLedger":
        """The truck's status names the highest number that it has given, and how many samples it then had to send.

        With none left, nothing up to there is pending any more, whatever an earlier report said: the status is
        retained, and so outlives the broker that forgot the report which would have said it.
        """
        pending = self.pending - Ranges.of([(1, highest)]) if buffered == 0 else self.pending
        return replace(self._woken(now_ms), pending=pending, highest=max(self.highest, highest))._noticed(now_ms)

    def report(self, report: Report, now_ms: int) -> "StreamLedger":
        """The truck says what it holds."""
        pending = Ranges.of(report.pending) - self.received
        known = Ranges.of([(1, max(self.highest, report.highest_seq))])
        thinned = Ranges.of((part.from_, part.to) for part in report.thinned) - self.received - pending
        gone = Ranges.of(report.gone)
        if report.closed:
            gone = gone | (known - pending)
        gone = (gone & known) - self.received - thinned - self.thinned - self.dead_lettered
        return replace(
            self._woken(now_ms),
            pending=pending,
            thinned=self.thinned | thinned,
            gone=self.gone | gone,
            highest=max(self.highest, report.highest_seq),
            closed=self.closed or report.closed,
        )._noticed(now_ms)

    def _woken(self, now_ms: int) -> "StreamLedger":
        """Heard by what is said on connecting."""
        holes = tuple(hole.woken(now_ms, self.heard_ms) for hole in self.holes)
        return replace(self, holes=holes, heard_ms=max(self.heard_ms, now_ms))

    def _noticed(self, now_ms: int) -> "StreamLedger":
        """With the holes brought up to date; what is left of a known hole keeps its story."""
        if not self.holes and self.received.pairs == ((1, self.highest),):  # the common case
            return self
        missing = Ranges.of([(1, self.highest)]) - self.settled
        known = Ranges.of((hole.first, hole.last) for hole in self.holes)
        holes = [Hole(first, last, now_ms) for first, last in missing - known]
        for hole in self.holes:
            left = Ranges.of([(hole.first, hole.last)]) & missing
            holes.extend(replace(hole, first=first, last=last) for first, last in left)
        return replace(self, holes=tuple(sorted(holes, key=lambda hole: hole.first)))

    def ask(self, now_ms: int, grace_ms: int) -> tuple[Ranges, "StreamLedger"]:
        """What to ask the truck for now (at most MAX_RESEND_RANGES ranges, often none), and the ledger after asking."""
        if not self.holes or now_ms - self.heard_ms > _HEARD_LATELY_MS:
            return Ranges(), self
        asked: list[tuple[int, int]] = []
        holes: list[Hole] = []
        for hole in self._split_by_pending():
            wanted = hole.first not in self.pending and hole.due(now_ms, grace_ms, self.heard_ms)
            if not wanted or len(asked) == MAX_RESEND_RANGES:
                holes.append(hole)
                continue
            asked.append((hole.first, hole.last))
            holes.append(hole.asked(now_ms))
        return Ranges.of(asked), replace(self, holes=tuple(holes)) if asked else self

    def _split_by_pending(self) -> list[Hole]:
        """The holes, cut so that each is wholly pending on the truck or not at all."""
        pieces: list[Hole] = []
        for hole in self.holes:
            whole = Ranges.of([(hole.first, hole.last)])
            parts = sorted([*(whole & self.pending), *(whole - self.pending)])
            pieces.extend(replace(hole, first=first, last=last) for first, last in parts)
        return pieces

    def missing(self) -> Ranges:
        """All holes."""
        return Ranges.of((hole.first, hole.last) for hole in self.holes)

    def late(self, now_ms: int, grace_ms: int) -> Ranges:
        """The holes that nobody need worry about yet: in their grace time, or pending on the truck."""
        fresh = Ranges.of((hole.first, hole.last) for hole in self.holes if now_ms - hole.since_ms < grace_ms)
        return fresh | (self.pending & self.missing())

    def lost(self) -> Ranges:
        """What both ends know to be lost: gone, or asked for five times without an answer."""
        given_up = [hole for hole in self.holes if hole.unanswered(self.heard_ms) >= ASKS_UNTIL_LOST]
        return self.gone | (Ranges.of((hole.first, hole.last) for hole in given_up) - self.pending)

    def as_json(self) -> dict[str, Any]:
        """The stored form; `from_json` reads it."""
        sets = {name: getattr(self, name).as_lists() for name in _SETS if getattr(self, name)}
        holes = [[each.first, each.last, each.since_ms, each.asks, each.asked_ms, each.repeated] for each in self.holes]
        return {**sets, "highest": self.highest, "closed": self.closed, "heard_ms": self.heard_ms, "holes": holes}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "StreamLedger":
        """The ledger that `as_json` wrote."""
        sets = {name: Ranges.of(stored.get(name, ())) for name in _SETS}
        return cls(
            **sets,
            highest=stored["highest"],
            closed=stored["closed"],
            heard_ms=stored["heard_ms"],
            holes=tuple(Hole(*each) for each in stored["holes"]),
        )


_SETS = ("received", "thinned", "gone", "dead_lettered", "conflicts", "pending")
