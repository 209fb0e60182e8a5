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

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from collector.completeness.holes import Hole, cut, still_missing
from collector.completeness.recent_contents import RecentContents
from contract.control_messages import NeverStored, Report
from contract.ranges import MAX_RESEND_RANGES, Ranges

__all__ = ["ASKS_UNTIL_LOST", "Hole", "StreamLedger"]

ASKS_UNTIL_LOST = 5
MOST_LEAP = 1_000_000
"""A number that is further than this above every other one known opens no hole until the truck confirms it."""
_MOST_RUNS = 256
_NONE, _NOTHING = Ranges(), RecentContents()
_HEARD_LATELY_MS = 20 * 60_000  # a report comes every 15 minutes


class StreamLedger(NamedTuple):
    """The ledger of one stream_id.

    highest: the highest number that is believed; holes lie below it. reported: the highest that the truck itself named.
    oldest_retained: the lowest that any report named as still held, None before the first. heard_ms: when the truck was
    last heard on it. never_stored: (run, count) of each process of the agent that took samples and could not keep them.
    recent: what came lately under which number, by which a second content is known, whoever stored it.
    """

    received: Ranges = _NONE
    thinned: Ranges = _NONE
    gone: Ranges = _NONE
    dead_lettered: Ranges = _NONE
    conflicts: Ranges = _NONE
    pending: Ranges = _NONE
    highest: int = 0
    closed: bool = False
    heard_ms: int = 0
    holes: tuple[Hole, ...] = ()
    reported: int = 0
    oldest_retained: int | None = None
    never_stored: tuple[tuple[str, int], ...] = ()
    recent: RecentContents = _NOTHING

    @property
    def accounted(self) -> Ranges:
        sets = [each.pairs for each in (self.received, self.thinned, self.gone, self.dead_lettered) if each]
        before = self._before()
        if before:
            sets.append(((1, before),))
        return Ranges(sets[0]) if len(sets) == 1 else Ranges.of(pair for pairs in sets for pair in pairs)

    @property
    def gone_before(self) -> Ranges:
        """Numbers that the truck no longer held when this store first heard of it: neither here nor lost by it."""
        return Ranges.of([(1, self._before())]) - self.received - self.gone - self.thinned - self.dead_lettered

    def _before(self) -> int:
        """The last of them: below all that came, and below all that any report named as held."""
        if self.oldest_retained is None:
            return 0
        first = self.received.pairs[0][0] if self.received else self.reported + 1
        return max(0, min(self.oldest_retained, first) - 1)

    @property
    def leaps(self) -> Ranges:
        """Numbers that came alone, far above every other one, and that no report or status has confirmed."""
        return self._judged()[1]

    def _judged(self) -> tuple[int, Ranges]:
        """The highest number to believe, and the leaps above it: a function of the set of numbers and reports."""
        arrived = self.received | self.dead_lettered
        leaps: list[int] = []
        for index in range(len(arrived.pairs) - 1, 0, -1):
            first, last = arrived.pairs[index]
            near = max(self.reported, arrived.pairs[index - 1][1])
            if last <= self.reported or last > first or last - near <= MOST_LEAP:
                break
            leaps.append(last)
        believed = arrived.pairs[len(arrived.pairs) - 1 - len(leaps)][1] if arrived else 0
        return max(believed, self.reported), Ranges.of_numbers(leaps)

    def receive(
        self,
        numbers: Ranges,
        now_ms: int,
        *,
        conflicts: Ranges = _NONE,
        contents: Sequence[tuple[int, str]] = (),
    ) -> "StreamLedger":
        """Samples were stored.

        Args:
            numbers: theirs.
            now_ms: when they came, Unix ms.
            conflicts: those of which the caller knows that another content has the number.
            contents: number and content hash of each, also of those that were stored before.
        """
        recent, twice = self.recent.add(contents)
        received = self.received | numbers
        if len(received.pairs) == 1 and not (
            self.holes or self.dead_lettered or self.gone or self.thinned or self.pending or conflicts or twice
        ):
            last = max(received.last, self.reported)
            if received.pairs == ((1, last),):  # the live stream's one case
                heard_ms = max(self.heard_ms, now_ms)
                return self._replace(received=received, highest=last, heard_ms=heard_ms, recent=recent)
        return self._replace(
            received=received,
            gone=self.gone - numbers,
            thinned=self.thinned - numbers,
            dead_lettered=self.dead_lettered - numbers,
            pending=self.pending - numbers,
            conflicts=self.conflicts | conflicts | Ranges.of_numbers(twice),
            heard_ms=max(self.heard_ms, now_ms),
            recent=recent,
        )._noticed(now_ms)

    def dead_letter(self, numbers: Ranges, now_ms: int) -> "StreamLedger":
        """Samples came and were refused: they are not missing."""
        refused = numbers - self.received
        return self._replace(
            dead_lettered=self.dead_lettered | refused,
            gone=self.gone - refused,
            thinned=self.thinned - refused,
            pending=self.pending - refused,
            heard_ms=max(self.heard_ms, now_ms),
        )._noticed(now_ms)

    def reach(self, highest: int, now_ms: int, *, buffered: int | None = None) -> "StreamLedger":
        """The truck's status names the highest number that it has given, and how many samples it then had to send.

        With none left, nothing up to there is pending any more, whatever an earlier report said: the status is
        retained, and so outlives the broker that forgot the report which would have said it.
        """
        pending = self.pending - Ranges.of([(1, highest)]) if buffered == 0 else self.pending
        woken = self._woken(now_ms)
        return woken._replace(pending=pending, reported=max(self.reported, highest))._noticed(now_ms)

    def report(self, report: Report, now_ms: int) -> "StreamLedger":
        """The truck says what it holds."""
        pending = Ranges.of(report.pending) - self.received
        known = Ranges.of([(1, max(self.highest, report.highest_seq))])
        held = self.oldest_retained or report.oldest_retained
        thinned = Ranges.of((part.from_, part.to) for part in report.thinned) - self.received - pending
        gone = Ranges.of(report.gone)
        if report.closed:
            gone = gone | (known - pending)
        gone = (gone & known) - self.received - thinned - self.thinned - self.dead_lettered
        woken = self._woken(now_ms)
        return woken._replace(
            pending=pending,
            thinned=self.thinned | thinned,
            gone=self.gone | gone,
            reported=max(self.reported, report.highest_seq),
            oldest_retained=min(held, report.oldest_retained or held) if held else None,
            never_stored=_runs(self.never_stored, report.never_stored),
            closed=self.closed or report.closed,
        )._noticed(now_ms)

    def _woken(self, now_ms: int) -> "StreamLedger":
        """Heard by what is said on connecting."""
        holes = tuple(hole.after_contact(now_ms, self.heard_ms) for hole in self.holes)
        return self._replace(holes=holes, heard_ms=max(self.heard_ms, now_ms))

    def _noticed(self, now_ms: int) -> "StreamLedger":
        """With the holes brought up to date; what is left of a known hole keeps its story."""
        highest, _ = self._judged()
        if not self.holes and self.received.pairs == ((1, highest),):  # the common case
            return self._replace(highest=highest)
        missing = Ranges.of([(1, highest)]) - self.accounted
        return self._replace(highest=highest, holes=still_missing(self.holes, missing, now_ms))

    def ask(self, now_ms: int, grace_ms: int) -> tuple[Ranges, "StreamLedger"]:
        """What to ask the truck for now (at most MAX_RESEND_RANGES ranges, often none), and the ledger after asking."""
        if not self.holes or now_ms - self.heard_ms > _HEARD_LATELY_MS:
            return Ranges(), self
        asked: list[tuple[int, int]] = []
        holes: list[Hole] = []
        for hole, pending in cut(self.holes, self.pending):
            wanted = not pending and hole.due(now_ms, grace_ms, self.heard_ms)
            if not wanted or len(asked) == MAX_RESEND_RANGES:
                holes.append(hole)
                continue
            asked.append((hole.first, hole.last))
            holes.append(hole.asked(now_ms))
        return Ranges.of(asked), self._replace(holes=tuple(holes)) if asked else self

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
        more: dict[str, Any] = {"reported": self.reported}
        if self.oldest_retained is not None:
            more["oldest_retained"] = self.oldest_retained
        if self.recent:
            more["recent"] = self.recent.as_lists()
        if self.never_stored:
            more["never_stored"] = [list(run) for run in self.never_stored]
        fixed = {"highest": self.highest, "closed": self.closed, "heard_ms": self.heard_ms, "holes": holes}
        return {**sets, **fixed, **more}

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
            reported=stored.get("reported", stored["highest"]),  # before 0.2 each number was believed
            oldest_retained=stored.get("oldest_retained"),
            never_stored=tuple((run, count) for run, count in stored.get("never_stored", ())),
            recent=RecentContents.of(stored.get("recent", ())),
        )


def _runs(known: Iterable[tuple[str, int]], said: Iterable[NeverStored]) -> tuple[tuple[str, int], ...]:
    """The highest count of each run, in order of first mention; the oldest of too many are summed up under ""."""
    runs = dict(known)
    summed = runs.pop("", 0)
    for each in said:
        runs[each.run] = max(runs.get(each.run, 0), each.count)
    named = list(runs.items())
    old = max(0, len(named) - _MOST_RUNS)
    summed += sum(count for _, count in named[:old])
    return ((("", summed),) if summed else ()) + tuple(named[old:])


_SETS = ("received", "thinned", "gone", "dead_lettered", "conflicts", "pending")
