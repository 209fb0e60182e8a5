"""Sessions and funnel are functions of the set of events."""

import itertools
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


@given(events, st.randoms(use_true_random=False))
def test_any_order_gives_the_same(found: list[StoredClick], chance: random.Random) -> None:
    shuffled = chance.sample(found, len(found))
    assert (sessions(shuffled), funnel(shuffled)) == (sessions(found), funnel(found))


@given(events)
def test_each_event_is_in_one_session_or_unattributed(found: list[StoredClick]) -> None:
    attributed = [event.event_id for session in sessions(found) for event in session.events]
    assert sorted(attributed) == sorted(event.event_id for event in found if event.session_id)
    assert dict(funnel(found))[UNATTRIBUTED] == len(found) - len(attributed)


@given(events)
def test_a_session_holds_no_silence_and_its_parts_are_apart(found: list[StoredClick]) -> None:
    ends: dict[str, int] = {}
    for session in sessions(found):
        times = [timestamps.to_ms(event.timestamp) for event in session.events]
        assert all(later - earlier <= SILENCE_MS for earlier, later in itertools.pairwise(times))
        name = session.events[0].session_id or ""
        assert times[0] - ends.get(name, -SILENCE_MS - 1) > SILENCE_MS
        ends[name] = times[-1]


@given(events)
def test_no_step_has_more_sessions_than_the_one_before_it(found: list[StoredClick]) -> None:
    counts = [count for _, count in funnel(found)[:-1]]
    assert counts == sorted(counts, reverse=True)
