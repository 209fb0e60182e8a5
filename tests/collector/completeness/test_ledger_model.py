"""The ledger's ranges against a model that keeps a story for every single number."""

import itertools
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from collector.completeness.ledger import ASKS_UNTIL_LOST, StreamLedger
from contract.control_messages import Report
from contract.ranges import MAX_RESEND_RANGES, Ranges
from tests.budget import budget

GRACE = 10_000
MINUTE = 60_000
SIX_HOURS = 6 * 60 * MINUTE
LAST = 50


@dataclass
class Hole:
    """One missing number."""

    since: int
    asks: int = 0
    asked: int = 0
    owed: bool = False
    repeated: bool = False
    heard: bool = False  # after the last ask

    def due(self, now: int) -> bool:
        if self.owed:
            return True
        if not self.asks:
            return now - self.since >= GRACE
        return self.heard and now - self.asked >= min(MINUTE * 2 ** (self.asks - 1), SIX_HOURS)

    def ask(self, now: int) -> None:
        if not self.owed:
            self.asks += 1
        self.asked, self.repeated, self.owed, self.heard = now, self.owed, False, False

    def woken(self, now: int) -> None:
        """Heard by a status or a report."""
        if self.asks and not (self.heard or self.repeated or self.owed) and now - self.asked >= 2_000:
            self.owed = True

    def unanswered(self) -> int:
        return self.asks - (self.owed or not self.heard)


@dataclass
class Model:
    """What docs/architecture.md says of gap repair, one number at a time."""

    received: set[int] = field(default_factory=set)
    thinned: set[int] = field(default_factory=set)
    gone: set[int] = field(default_factory=set)
    dead: set[int] = field(default_factory=set)
    pending: set[int] = field(default_factory=set)
    highest: int = 0
    heard: int = 0
    holes: dict[int, Hole] = field(default_factory=dict)

    def _notice(self, now: int) -> None:
        settled = self.received | self.thinned | self.gone | self.dead
        missing = set(range(1, self.highest + 1)) - settled
        self.holes = {number: self.holes.get(number, Hole(now)) for number in missing}

    def receive(self, numbers: set[int], now: int) -> None:
        self.received |= numbers
        for others in (self.thinned, self.gone, self.dead, self.pending):
            others -= numbers
        self._reached(max(numbers, default=0), now)

    def dead_letter(self, numbers: set[int], now: int) -> None:
        refused = numbers - self.received
        self.dead |= refused
        for others in (self.thinned, self.gone, self.pending):
            others -= refused
        self._reached(max(numbers, default=0), now)

    def reach(self, highest: int, now: int, buffered: int | None = None) -> None:
        if buffered == 0:
            self.pending = {number for number in self.pending if number > highest}
        for hole in self.holes.values():
            hole.woken(now)
        self._reached(highest, now)

    def _reached(self, highest: int, now: int) -> None:
        self.highest, self.heard = max(self.highest, highest), now
        for hole in self.holes.values():
            hole.heard = hole.heard or now > hole.asked
        self._notice(now)

    def report(self, said: dict[str, Any], now: int) -> None:
        known = set(range(1, max(self.highest, said["highest"]) + 1))
        self.pending = said["pending"] - self.received
        self.thinned |= said["thinned"] - self.received - self.pending
        gone = said["gone"] | (known - self.pending if said["closed"] else set())
        self.gone |= (gone & known) - self.received - self.thinned - self.dead
        self.reach(said["highest"], now)

    def due(self, now: int) -> set[int]:
        if now - self.heard > 20 * MINUTE:
            return set()
        return {number for number, hole in self.holes.items() if hole.due(now) and number not in self.pending}

    def asked(self, numbers: set[int], now: int) -> None:
        for number in numbers:
            self.holes[number].ask(now)

    def late(self, now: int) -> set[int]:
        return {number for number, hole in self.holes.items() if now - hole.since < GRACE or number in self.pending}

    def lost(self) -> set[int]:
        unanswered = {number for number, hole in self.holes.items() if hole.unanswered() >= ASKS_UNTIL_LOST}
        return self.gone | (unanswered - self.pending)


def _set(ranges: Ranges) -> set[int]:
    return {number for first, last in ranges for number in range(first, last + 1)}


stretches = st.lists(st.tuples(st.integers(1, LAST), st.integers(0, 8)), max_size=4).map(
    lambda pairs: {number for first, more in pairs for number in range(first, min(first + more, LAST) + 1)}
)
reports = st.fixed_dictionaries(
    {
        "highest": st.integers(0, LAST),
        "pending": stretches,
        "thinned": stretches,
        "gone": stretches,
        "closed": st.integers(0, 9).map(lambda drawn: drawn == 0),
    }
)
acts = st.one_of(
    st.tuples(st.just("receive"), stretches),
    st.tuples(st.just("dead_letter"), stretches),
    st.tuples(st.just("reach"), st.tuples(st.integers(0, LAST), st.sampled_from([None, 0, 1]))),
    st.tuples(st.just("report"), reports),
    st.tuples(st.just("ask"), st.none()),
    st.tuples(st.just("ask"), st.none()),
)
waits = st.sampled_from(
    [0, 1_000, 9_999, 10_000, MINUTE, 2 * MINUTE, 5 * MINUTE, 15 * MINUTE, 25 * MINUTE, 7 * 60 * MINUTE]
)


def _wire(said: dict[str, Any]) -> Report:
    thinned = [{"from": first, "to": last, "keep_every": 2} for first, last in Ranges.of_numbers(said["thinned"])]
    return Report.model_validate(
        {
            "stream_id": "s1",
            "highest_seq": said["highest"],
            "pending": Ranges.of_numbers(said["pending"]).as_lists(),
            "gone": Ranges.of_numbers(said["gone"]).as_lists(),
            "thinned": thinned,
            "closed": said["closed"],
        }
    )


def _act(stream: StreamLedger, model: Model, act: str, what: Any, now: int) -> StreamLedger:
    if act == "receive":
        model.receive(set(what), now)
        return stream.receive(Ranges.of_numbers(what), now)
    if act == "dead_letter":
        model.dead_letter(set(what), now)
        return stream.dead_letter(Ranges.of_numbers(what), now)
    if act == "reach":
        highest, buffered = what
        model.reach(highest, now, buffered)
        return stream.reach(highest, now, buffered=buffered)
    if act == "report":
        model.report(what, now)
        return stream.report(_wire(what), now)
    due = model.due(now)
    asked, after = stream.ask(now, GRACE)
    assert _set(asked) <= due
    assert len(asked.pairs) <= MAX_RESEND_RANGES
    if len(due) <= MAX_RESEND_RANGES:
        assert _set(asked) == due
    model.asked(_set(asked), now)
    return after


@budget(300, 20_000)
def test_the_ledger_tells_every_numbers_story(examples: int) -> None:
    @settings(max_examples=examples)
    @given(st.lists(st.tuples(acts, waits), max_size=25))
    def check(story: list[tuple[tuple[str, Any], int]]) -> None:
        stream, model, now = StreamLedger(), Model(), 1_000_000_000
        for (act, what), wait in story:
            now += wait
            stream = _act(stream, model, act, what, now)
            assert _set(stream.missing()) == set(model.holes)
            assert _set(stream.accounted) | _set(stream.missing()) >= set(range(1, stream.highest + 1))
            assert not _set(stream.accounted) & _set(stream.missing())
            assert _set(stream.late(now, GRACE)) == model.late(now)
            assert _set(stream.lost()) == model.lost()
            assert (stream.highest, stream.heard_ms) == (model.highest, model.heard)
            assert StreamLedger.from_json(stream.as_json()) == stream

    check()


WORDS = st.sampled_from(["sample", "status", "report", "offline"])
GAPS = st.sampled_from([1_000, 20_000, MINUTE, 5 * MINUTE, 15 * MINUTE])


def _hear(stream: StreamLedger, word: str, now: int) -> StreamLedger:
    """Any sign of life that says nothing of the hole at 2."""
    if word == "sample":
        return stream.receive(Ranges.of_numbers([1]), now)
    if word == "report":
        return stream.report(Report.model_validate({"stream_id": "s1", "highest_seq": 3}), now)
    return stream.reach(3, now) if word == "status" else stream


@dataclass
class Drive:
    """A truck with one hole that it never answers for; asks: when, and how many had counted by then."""

    stream: StreamLedger = field(default_factory=lambda: StreamLedger().receive(Ranges.of_numbers([1, 3]), 0))
    now: int = 0
    asks: list[tuple[int, int]] = field(default_factory=list)

    def on(self, word: str, gap: int) -> None:
        """Time passes, in which the collector looks every few seconds; then the truck says a word."""
        until = self.now + gap
        while self.now < until:
            self.now = min(self.now + 10_000, until)
            asked, self.stream = self.stream.ask(self.now, GRACE)
            if asked:
                self.asks.append((self.now, self.stream.holes[0].asks))
        self.stream = _hear(self.stream, word, self.now)


@budget(60, 3_000)
def test_what_a_truck_never_answers_for_is_lost_after_five_asks_and_asked_for_less_and_less(examples: int) -> None:
    """Whatever else it says, and however often: samples, statuses, reports, in any order, with silences in between."""

    @settings(max_examples=examples)
    @given(st.lists(st.tuples(WORDS, GAPS), max_size=8), st.sampled_from(["sample", "status", "report"]))
    def check(words: list[tuple[str, int]], last: str) -> None:
        drive = Drive()
        turns = itertools.cycle([*words, (last, MINUTE)])
        while not drive.stream.lost():
            drive.on(*next(turns))
            assert drive.now < 24 * SIX_HOURS
        assert drive.asks[-1][1] == ASKS_UNTIL_LOST
        given_up = drive.now
        while drive.now < given_up + 4 * SIX_HOURS:
            drive.on(*next(turns))
        firsts = {count: at for at, count in reversed(drive.asks)}
        assert all(sum(count == each for _, count in drive.asks) <= 2 for each in firsts)
        waits = [firsts[count + 1] - firsts[count] for count in range(1, max(firsts))]
        assert all(wait >= min(MINUTE << n, SIX_HOURS) for n, wait in enumerate(waits))
        healed = drive.stream.receive(Ranges.of_numbers([2]), drive.now)
        assert (healed.lost(), healed.missing()) == (Ranges(), Ranges())

    check()


@budget(100, 5_000)
def test_a_truck_that_went_away_is_asked_once_more_at_most_and_loses_nothing(examples: int) -> None:
    """So it is never lost for being away."""

    @settings(max_examples=examples)
    @given(st.lists(st.tuples(WORDS, GAPS), max_size=6))
    def check(words: list[tuple[str, int]]) -> None:
        drive = Drive()
        for word, gap in words:
            drive.on(word, gap)
        asked, lost = len(drive.asks), drive.stream.lost()
        drive.on("offline", 5 * SIX_HOURS)
        assert len(drive.asks) - asked <= 1
        assert drive.stream.lost() == lost

    check()
