"""The ledger's ranges against a model that keeps a story for every single number."""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from collector.ledger import ASKS_UNTIL_LOST, Stream
from contract.messages import MAX_RESEND_RANGES, Report
from contract.ranges import Ranges
from tests.budget import budget

GRACE = 10_000
MINUTE = 60_000
LAST = 50


@dataclass
class Hole:
    """One missing number."""

    since: int
    asks: int = 0
    asked: int = 0

    def due(self, now: int) -> bool:
        if not self.asked:
            return now - self.since >= GRACE
        return now - self.asked >= min(MINUTE * 2 ** max(self.asks - 1, 0), 6 * 60 * MINUTE)


@dataclass
class Model:
    """What DESIGN §4 and §5.2 say, a number at a time."""

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

    def _reached(self, highest: int, now: int) -> None:
        self.highest, self.heard = max(self.highest, highest), now
        self._notice(now)

    def report(self, said: dict[str, Any], now: int) -> None:
        known = set(range(1, max(self.highest, said["highest"]) + 1))
        self.pending = said["pending"] - self.received
        self.thinned |= said["thinned"] - self.received - self.pending
        gone = said["gone"] | (known - self.pending if said["closed"] else set())
        self.gone |= (gone & known) - self.received - self.thinned - self.dead
        for hole in self.holes.values():
            if hole.asked <= now - 2_000:
                hole.asks, hole.asked = max(hole.asks - 1, 0), 0
        self._reached(said["highest"], now)

    def due(self, now: int) -> set[int]:
        if now - self.heard > 20 * MINUTE:
            return set()
        return {number for number, hole in self.holes.items() if hole.due(now) and number not in self.pending}

    def asked(self, numbers: set[int], now: int) -> None:
        for number in numbers:
            hole = self.holes[number]
            hole.asks, hole.asked = hole.asks + 1, now

    def late(self, now: int) -> set[int]:
        return {number for number, hole in self.holes.items() if now - hole.since < GRACE or number in self.pending}

    def lost(self) -> set[int]:
        unanswered = {number for number, hole in self.holes.items() if hole.asks >= ASKS_UNTIL_LOST}
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
    st.tuples(st.just("reach"), st.integers(0, LAST)),
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


def _act(stream: Stream, model: Model, act: str, what: Any, now: int) -> Stream:
    if act == "receive":
        model.receive(set(what), now)
        return stream.receive(Ranges.of_numbers(what), now)
    if act == "dead_letter":
        model.dead_letter(set(what), now)
        return stream.dead_letter(Ranges.of_numbers(what), now)
    if act == "reach":
        model._reached(what, now)
        return stream.reach(what, now)
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
    @settings(max_examples=examples, deadline=None)
    @given(st.lists(st.tuples(acts, waits), max_size=25))
    def check(story: list[tuple[tuple[str, Any], int]]) -> None:
        stream, model, now = Stream(), Model(), 1_000_000_000
        for (act, what), wait in story:
            now += wait
            stream = _act(stream, model, act, what, now)
            assert _set(stream.missing()) == set(model.holes)
            assert _set(stream.settled) | _set(stream.missing()) >= set(range(1, stream.highest + 1))
            assert not _set(stream.settled) & _set(stream.missing())
            assert _set(stream.late(now, GRACE)) == model.late(now)
            assert _set(stream.lost()) == model.lost()
            assert (stream.highest, stream.heard_ms) == (model.highest, model.heard)
            assert Stream.from_json(stream.as_json()) == stream

    check()
