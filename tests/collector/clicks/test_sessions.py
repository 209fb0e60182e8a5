"""Sessions and funnel are functions of the set of events."""

import random

from hypothesis import given
from hypothesis import strategies as st

from collector.clicks.sessions import FUNNEL, SILENCE_MS, UNATTRIBUTED, funnel, sessions
from collector.rows import Counter, StoredClick
from contract import timestamps

NOON_MS = timestamps.to_ms("2026-01-01T12:00:00.000Z")
events = st.lists(
    st.builds(
        lambda number, session, kind, at: _event(number, session, kind, at),
        st.integers(0, 10**6),
        st.sampled_from(["s1", "s2", None]),
        st.sampled_from([*FUNNEL, "click"]),
        st.integers(0, 4).map(lambda step: step * SILENCE_MS // 2) | st.integers(0, 2 * SILENCE_MS),
    ),
    max_size=12,
    unique_by=lambda event: event.event_id,
)


def _event(number: int, session: str | None, kind: str, at: int) -> StoredClick:
    at_text = timestamps.from_ms(NOON_MS + at)
    return StoredClick(str(number), at_text, session, None, Counter(at_text, None, None, kind), 1, NOON_MS, "{}")


def _funnel(found: list[StoredClick]) -> list[tuple[str, int]]:
    return funnel(sessions(found), sum(event.session_id is None for event in found))


@given(events, st.randoms(use_true_random=False))
def test_any_order_gives_the_same(found: list[StoredClick], chance: random.Random) -> None:
    shuffled = chance.sample(found, len(found))
    assert (sessions(shuffled), _funnel(shuffled)) == (sessions(found), _funnel(found))


@given(events)
def test_each_event_is_in_one_session_or_unattributed(found: list[StoredClick]) -> None:
    attributed = sum(part.events for part in sessions(found))
    assert attributed == sum(event.session_id is not None for event in found)
    assert dict(_funnel(found))[UNATTRIBUTED] == len(found) - attributed


@given(events)
def test_a_session_ends_with_a_silence_and_holds_none(found: list[StoredClick]) -> None:
    for name in {event.session_id for event in found} - {None}:
        times = sorted(timestamps.to_ms(event.timestamp) for event in found if event.session_id == name)
        starts = [
            at for before, at in zip([None, *times], times, strict=False) if before is None or at - before > SILENCE_MS
        ]
        parts = [part for part in sessions(found) if part.session_id == name]
        assert [timestamps.to_ms(part.first) for part in parts] == starts
        assert [part.part for part in parts] == list(range(1, len(starts) + 1))


@given(events)
def test_no_step_has_more_sessions_than_the_one_before_it(found: list[StoredClick]) -> None:
    counts = [count for _, count in _funnel(found)[:-1]]
    assert counts == sorted(counts, reverse=True)
