"""A number far above all others, a stream that begins in the middle, and ledgers with thousands of holes."""

import time

from hypothesis import given
from hypothesis import strategies as st

from collector.completeness.holes import cut, still_missing
from collector.completeness.ledger import Hole, StreamLedger
from contract.codec import Json
from contract.control_messages import Report
from contract.ranges import Ranges

LEAP = 1_200_000


def _report(highest: int, **said: Json) -> Report:
    return Report.model_validate({"stream_id": "s1", "highest_seq": highest, **said})


def _numbers(*numbers: int) -> Ranges:
    return Ranges.of_numbers(numbers)


def test_a_leap_is_kept_and_opens_no_hole() -> None:
    ledger = StreamLedger().receive(_numbers(1, 2), 0).receive(_numbers(2**62), 1)
    assert (ledger.missing(), ledger.highest, ledger.leaps) == (Ranges(), 2, _numbers(2**62))
    assert 2**62 in ledger.received


def test_the_trucks_own_word_makes_it_ordinary_before_or_after() -> None:
    after = StreamLedger().receive(_numbers(1, 2), 0).receive(_numbers(LEAP), 1).reach(LEAP, 1)
    before = StreamLedger().receive(_numbers(1, 2), 0).reach(LEAP, 1).receive(_numbers(LEAP), 1)
    assert after.missing() == before.missing() == Ranges.of([(3, LEAP - 1)])
    assert (after.leaps, after.highest) == (Ranges(), LEAP)


def test_another_number_near_it_makes_it_ordinary() -> None:
    ledger = StreamLedger().receive(_numbers(1), 0).receive(_numbers(LEAP), 1).receive(_numbers(LEAP - 500_000), 2)
    assert (ledger.leaps, ledger.highest) == (Ranges(), LEAP)


def test_a_store_that_meets_an_old_truck_misses_what_the_truck_holds_and_no_more() -> None:
    first = StreamLedger().receive(_numbers(LEAP), 0)
    assert first.highest == LEAP
    ledger = first.report(_report(LEAP, oldest_retained=1_190_000), 1)
    assert ledger.missing() == Ranges.of([(1_190_000, LEAP - 1)])
    assert ledger.gone_before == Ranges.of([(1, 1_189_999)])
    assert ledger.lost() == Ranges()
    later = ledger.report(_report(LEAP, oldest_retained=1_199_000), 2)
    assert later.missing() == ledger.missing(), "what the truck has dropped since it must say by `gone`"


@given(st.permutations([("receive", 1), ("receive", LEAP), ("receive", 3 * LEAP), ("reach", 2), ("reach", LEAP)]))
def test_the_result_is_a_function_of_the_set(story: list[tuple[str, int]]) -> None:
    ledger = StreamLedger()
    for word, number in story:
        ledger = ledger.receive(_numbers(number), 0) if word == "receive" else ledger.reach(number, 0)
    assert (ledger.highest, ledger.leaps) == (LEAP, _numbers(3 * LEAP))
    assert ledger.missing() == Ranges.of([(2, LEAP - 1)])


def test_never_stored_keeps_the_maximum_of_each_run() -> None:
    said = [_report(1, never_stored=[{"run": run, "count": count}]) for run, count in (("a", 3), ("b", 2), ("a", 2))]
    ledger = StreamLedger()
    for report in said:
        ledger = ledger.report(report, 0)
    assert ledger.never_stored == (("a", 3), ("b", 2))
    assert StreamLedger.from_json(ledger.as_json()) == ledger


def test_what_the_release_before_stored_is_believed() -> None:
    stored = {"received": [[1, 2], [LEAP, LEAP]], "highest": LEAP, "closed": False, "heard_ms": 0, "holes": []}
    assert StreamLedger.from_json(stored).leaps == Ranges()


SETS = st.sets(st.integers(1, 40))


@given(SETS, SETS)
def test_holes_keep_their_story_over_exactly_what_is_missing(before: set[int], after: set[int]) -> None:
    known = [Hole(first, last, first) for first, last in Ranges.of_numbers(before)]
    stories = {number: hole.since_ms for hole in known for number in range(hole.first, hole.last + 1)}
    holes = still_missing(known, Ranges.of_numbers(after), 99)
    found = {number: hole.since_ms for hole in holes for number in range(hole.first, hole.last + 1)}
    assert found == {number: stories.get(number, 99) for number in after}
    assert list(holes) == sorted(holes, key=lambda hole: hole.first)


@given(SETS, SETS)
def test_holes_are_cut_where_ranges_begin_and_end(missing: set[int], pending: set[int]) -> None:
    holes = [Hole(first, last, 0) for first, last in Ranges.of_numbers(missing)]
    pieces = [(number, inside) for hole, inside in cut(holes, Ranges.of_numbers(pending)) for number in _all(hole)]
    assert pieces == [(number, number in pending) for number in sorted(missing)]


def _all(hole: Hole) -> range:
    return range(hole.first, hole.last + 1)


def test_twice_the_holes_take_about_twice_the_time() -> None:
    def seconds(holes: int) -> float:
        ledger = StreamLedger().receive(Ranges.of_numbers(range(1, 2 * holes, 2)), 0)
        before = time.process_time()
        for number in range(1, 6):
            ledger = ledger.receive(_numbers(2 * number), 0)
        return time.process_time() - before

    # A square would be 64 times.
    assert min(seconds(16_000) for _ in range(3)) < 30 * min(seconds(2_000) for _ in range(3)) + 0.01


def test_runs_that_are_too_many_to_tell_apart_are_summed_and_none_is_left_out() -> None:
    ledger = StreamLedger()
    for number in range(600):
        told = [{"run": f"r{each}", "count": 1} for each in range(max(0, number - 200), number + 1)]
        ledger = ledger.report(_report(1, never_stored=told), number)
        assert sum(count for _, count in ledger.never_stored) == number + 1
    assert len(ledger.never_stored) == 257
