"""The completeness ledger, case by case; test_ledger_model.py holds all of it against a model."""

from collections.abc import Callable

import pytest

from collector.completeness.ledger import Hole, StreamLedger
from contract.codec import Json
from contract.control_messages import Report
from contract.ranges import Ranges

GRACE = 10_000
MINUTE = 60_000
HOUR = 60 * MINUTE


def _ranges(*pairs: tuple[int, int]) -> Ranges:
    return Ranges.of(pairs)


def _report(highest: int = 0, **said: Json) -> Report:
    return Report.model_validate({"stream_id": "s1", "highest_seq": highest, **said})


def _with_hole() -> StreamLedger:
    """Received 1–3 and 7–9 at time 0."""
    return StreamLedger().receive(_ranges((1, 3), (7, 9)), 0)


def _heard(stream: StreamLedger, now: int) -> StreamLedger:
    """The truck sent something known: it is there, and nothing else has changed."""
    return stream.receive(_ranges((1, 1)), now)


def test_what_lies_between_received_numbers_is_a_hole() -> None:
    assert _with_hole().missing() == _ranges((4, 6))


def test_a_stream_begins_with_1() -> None:
    assert StreamLedger().receive(_ranges((5, 5)), 0).missing() == _ranges((1, 4))


def test_a_hole_is_late_for_its_grace_time_and_not_asked_for() -> None:
    stream = _with_hole()
    assert stream.late(GRACE - 1, GRACE) == _ranges((4, 6))
    assert not stream.late(GRACE, GRACE)
    assert not stream.ask(GRACE - 1, GRACE)[0]
    assert stream.ask(GRACE, GRACE)[0] == _ranges((4, 6))


def test_the_grace_time_of_a_hole_starts_when_it_is_noticed() -> None:
    stream = _with_hole().receive(_ranges((12, 12)), 5_000)
    assert stream.ask(GRACE, GRACE)[0] == _ranges((4, 6))


def test_what_is_left_of_a_hole_keeps_its_story() -> None:
    asked = _with_hole().ask(GRACE, GRACE)[1].receive(_ranges((5, 5)), GRACE + 1)
    assert asked.missing() == _ranges((4, 4), (6, 6))
    assert not asked.ask(GRACE + MINUTE - 1, GRACE)[0]
    assert asked.ask(GRACE + MINUTE, GRACE)[0] == _ranges((4, 4), (6, 6))


def test_asks_back_off_from_one_minute_to_six_hours() -> None:
    stream, now = _with_hole(), GRACE
    waits = []
    for _ in range(14):
        asked, stream = stream.ask(now, GRACE)
        assert asked
        start = now
        while not _heard(stream, now).ask(now, GRACE)[0]:
            now += MINUTE
        stream = _heard(stream, now)
        waits.append((now - start) // MINUTE)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360, 360, 360, 360]


def test_at_most_twenty_ranges_at_once_and_the_rest_next() -> None:
    stream = StreamLedger().receive(Ranges.of_numbers(range(2, 62, 2)), 0)  # 30 holes of one
    first, stream = stream.ask(GRACE, GRACE)
    second, stream = stream.ask(GRACE, GRACE)
    assert (len(first.pairs), len(second.pairs)) == (20, 10)
    assert first | second == stream.missing()
    assert not stream.ask(GRACE, GRACE)[0]


def test_a_long_hole_is_one_range() -> None:
    stream = StreamLedger().receive(_ranges((1_000_000, 1_000_000)), 0)
    assert stream.ask(GRACE, GRACE)[0] == _ranges((1, 999_999))


def test_what_is_pending_on_the_truck_is_never_asked_for_and_is_late() -> None:
    stream = _with_hole().report(_report(9, pending=[[5, 6]]), GRACE)
    assert stream.ask(GRACE, GRACE)[0] == _ranges((4, 4))
    assert stream.late(GRACE, GRACE) == _ranges((5, 6))


def test_what_is_pending_no_more_is_asked_for() -> None:
    stream = _with_hole().report(_report(9, pending=[[4, 6]]), GRACE).report(_report(9), 2 * GRACE)
    assert stream.ask(2 * GRACE, GRACE)[0] == _ranges((4, 6))


def test_a_status_of_a_truck_with_nothing_left_to_send_ends_what_was_pending() -> None:
    """The report that would have said so may be forgotten by a killed broker; the status is retained."""
    stream = _with_hole().report(_report(9, pending=[[4, 6]]), GRACE).reach(9, 2 * GRACE, buffered=0)
    assert stream.ask(2 * GRACE, GRACE)[0] == _ranges((4, 6))


def test_a_status_says_nothing_of_what_is_pending_beyond_its_highest_number() -> None:
    stream = StreamLedger().receive(_ranges((1, 3), (7, 9)), 0).report(_report(9, pending=[[4, 6]]), GRACE)
    assert stream.reach(5, 2 * GRACE, buffered=0).ask(2 * GRACE, GRACE)[0] == _ranges((4, 5))


def test_a_status_of_a_truck_with_samples_left_ends_nothing_pending() -> None:
    stream = _with_hole().report(_report(9, pending=[[4, 6]]), GRACE).reach(9, 2 * GRACE, buffered=1)
    assert not stream.ask(2 * GRACE, GRACE)[0]


def test_only_a_truck_heard_from_lately_is_asked() -> None:
    stream = _with_hole()
    assert not stream.ask(HOUR, GRACE)[0]
    assert _heard(stream, HOUR).ask(HOUR, GRACE)[0] == _ranges((4, 6))
    assert stream.reach(9, HOUR).ask(HOUR, GRACE)[0] == _ranges((4, 6))
    assert stream.report(_report(9), HOUR).ask(HOUR, GRACE)[0] == _ranges((4, 6))


def test_a_status_or_a_report_tells_of_what_never_came() -> None:
    assert StreamLedger().reach(3, 0).missing() == _ranges((1, 3))
    assert StreamLedger().report(_report(3), 0).missing() == _ranges((1, 3))


def _asked_five_times() -> StreamLedger:
    stream, now = _with_hole(), GRACE
    for _ in range(5):
        stream = _heard(stream, now).ask(now, GRACE)[1]
        now += 6 * HOUR
    return stream


def test_five_unanswered_asks_are_a_loss() -> None:
    """An ask is unanswered once the truck was heard after it."""
    stream = _asked_five_times()
    assert not stream.lost()
    assert _heard(stream, 25 * HOUR).lost() == _ranges((4, 6))


def test_a_truck_that_is_away_is_asked_once_and_loses_nothing() -> None:
    asked, stream = _with_hole().ask(GRACE, GRACE)
    assert asked
    for now in range(GRACE, 30 * HOUR, MINUTE):
        assert not stream.ask(now, GRACE)[0]
    assert not stream.lost()


def test_what_is_lost_but_pending_is_not_lost() -> None:
    stream = _heard(_asked_five_times(), 25 * HOUR)
    assert not stream.report(_report(9, pending=[[4, 6]]), 60 * HOUR).lost()


def test_what_arrives_after_all_heals() -> None:
    healed = _asked_five_times().receive(_ranges((4, 6)), 99 * HOUR)
    assert (healed.missing(), healed.lost()) == (Ranges(), Ranges())


def test_what_the_truck_says_is_gone_is_lost_and_no_hole() -> None:
    gone = _with_hole().report(_report(9, gone=[[4, 5]]), 0)
    assert (gone.lost(), gone.missing()) == (_ranges((4, 5)), _ranges((6, 6)))
    assert gone.receive(_ranges((4, 5)), 0).lost() == Ranges()


def test_what_was_received_cannot_be_gone() -> None:
    assert _with_hole().report(_report(9, gone=[[1, 9]]), 0).gone == _ranges((4, 6))


def test_gone_reaches_no_further_than_what_is_known() -> None:
    assert _with_hole().report(_report(9, gone=[[4, 99]]), 0).gone == _ranges((4, 6))


def test_what_the_truck_thinned_is_settled_and_not_lost() -> None:
    thinned = _with_hole().report(_report(9, thinned=[{"from": 4, "to": 6, "keep_every": 2}], pending=[[5, 5]]), 0)
    assert thinned.thinned == _ranges((4, 4), (6, 6))
    assert thinned.missing() == _ranges((5, 5))
    assert not thinned.lost()


def test_a_closed_stream_has_lost_what_is_neither_received_nor_pending() -> None:
    closed = _with_hole().report(_report(12, closed=True, pending=[[5, 5]]), 0)
    assert closed.closed
    assert closed.lost() == _ranges((4, 4), (6, 6), (10, 12))
    assert closed.missing() == _ranges((5, 5))


def test_a_closed_stream_heals_too() -> None:
    closed = _with_hole().report(_report(9, closed=True), 0).receive(_ranges((4, 6)), 1)
    assert (closed.lost(), closed.missing()) == (Ranges(), Ranges())


@pytest.mark.parametrize("before", [_report(9), _report(9, gone=[[4, 6]]), _report(9, pending=[[4, 6]])])
def test_what_came_and_was_refused_is_settled_and_not_lost(before: Report) -> None:
    """Whatever the truck said of it before or says after."""
    refused = _with_hole().report(before, 0).dead_letter(_ranges((4, 6)), 1)
    assert (refused.dead_lettered, refused.missing(), refused.lost()) == (_ranges((4, 6)), Ranges(), Ranges())
    again = refused.report(_report(9, gone=[[4, 6]]), 2)
    assert (again.dead_lettered, again.lost()) == (_ranges((4, 6)), Ranges())


def test_what_was_received_is_not_dead_lettered_and_the_reverse() -> None:
    assert not _with_hole().dead_letter(_ranges((1, 1)), 0).dead_lettered
    assert not _with_hole().dead_letter(_ranges((4, 4)), 0).receive(_ranges((4, 4)), 1).dead_lettered


@pytest.mark.parametrize("back", [lambda asked, at: asked.report(_report(9), at), lambda asked, at: asked.reach(9, at)])
def test_an_ask_that_a_truck_slept_through_is_made_once_more_when_it_is_back(
    back: Callable[[StreamLedger, int], StreamLedger],
) -> None:
    """At once, and without counting; a truck that is back again and again is asked by the clock."""
    now = GRACE + 30_000
    asked, stream = back(_with_hole().ask(GRACE, GRACE)[1], now).ask(now, GRACE)
    assert (asked, [hole.asks for hole in stream.holes]) == (_ranges((4, 6)), [1])
    assert not back(stream, now + MINUTE - 1).ask(now + MINUTE - 1, GRACE)[0]
    asked, stream = back(stream, now + MINUTE).ask(now + MINUTE, GRACE)
    assert (asked, [hole.asks for hole in stream.holes]) == (_ranges((4, 6)), [2])


def test_an_ask_that_a_truck_heard_is_not_made_again_for_a_report() -> None:
    """It sent something in between, or the report was under way when it was asked."""
    asked = _with_hole().ask(GRACE, GRACE)[1]
    assert not _heard(asked, GRACE + 5_000).report(_report(9), GRACE + 6_000).ask(GRACE + 6_000, GRACE)[0]
    assert not asked.report(_report(9), GRACE + 1_000).ask(GRACE + 1_000, GRACE)[0]


def test_a_ledger_stored_before_asks_were_repeated_is_read() -> None:
    stored = _with_hole().as_json() | {"holes": [[4, 6, 0, 2, GRACE]]}
    assert StreamLedger.from_json(stored).holes == (Hole(4, 6, 0, asks=2, asked_ms=GRACE),)


def test_a_conflict_is_remembered() -> None:
    assert _with_hole().receive(_ranges((2, 2)), 0, conflicts=_ranges((2, 2))).conflicts == _ranges((2, 2))
