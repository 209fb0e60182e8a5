"""The kept table of sessions is what a reading of all events gives, however the events came."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.clicks.sessions import FUNNEL, SILENCE_MS, sessions
from collector.rows import Counter, StoredClick
from collector.stores.sqlite import click_sessions
from collector.stores.sqlite.store import SqliteStore
from contract import timestamps

NOON_MS = timestamps.to_ms("2026-01-01T12:00:00.000Z")


def event(  # noqa: PLR0913 - one parameter a choice of hypothesis
    number: int, session: str | None, kind: str, at: int, who: int, content: str
) -> StoredClick:
    """Few ids and few times, so that deliveries meet; contents that move an event to another time and session."""
    time = timestamps.from_ms(NOON_MS + at)
    text = json.dumps({"order_id": f"o{who}"} if kind == "purchase" else {})
    counter = Counter(time[:16] + ":00.000Z", None, None, kind)
    user, customer = (f"u{who}" if who else None), (f"c{who}" if who == 2 else None)
    return StoredClick(
        f"e{number}", time, session, "/", counter, 1, NOON_MS, text, content,
        user_id=user, customer_id=customer, is_bot=who == 3,
    )  # fmt: skip


events = st.builds(
    event,
    st.integers(0, 11),
    st.sampled_from(["s1", "s2", None]),
    st.sampled_from([*FUNNEL, "click"]),
    st.integers(0, 6).map(lambda step: step * SILENCE_MS // 2) | st.integers(0, 3 * SILENCE_MS),
    st.integers(0, 3),
    st.sampled_from("abc"),
)
deliveries = st.lists(st.lists(events, max_size=6), max_size=8)


@given(deliveries)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@pytest.mark.parametrize("longest", [2_000, 2])
def test_any_order_batching_and_rivalry_gives_what_all_events_give(
    longest: int,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    batches: list[list[StoredClick]],
) -> None:
    """With `longest` 2 nearly all sessions are left to the reader."""
    monkeypatch.setattr(click_sessions, "LONGEST", longest)
    store = SqliteStore(tmp_path_factory.mktemp("store") / "milepost.db")
    try:
        for batch in batches:
            with store.unit():
                store.put_clicks(batch)
        kept = sorted(store.session_parts("", "~"), key=lambda part: (part.first, part.name))
        assert kept == sessions(store.clicks())
        none = [click for click in store.clicks() if click.session_id is None]
        assert store.events_of_no_session("", "~") == (len(none), sum(click.is_bot for click in none))
        counts = {(page, kind): (count, bots) for page, kind, count, bots in store.page_counts("", "~")}
        for (_, kind), found in counts.items():
            same = [click for click in store.clicks() if click.counter.event_type == kind]
            assert found == (len(same), sum(click.is_bot for click in same))
        assert sum(row[3] for row in store.item_counts("", "~")) == len(list(store.clicks()))
        assert sum(row[4] for row in store.item_counts("", "~")) == sum(click.is_bot for click in store.clicks())
    finally:
        store.close()


drops = st.integers(0, 6).map(lambda step: timestamps.from_ms(NOON_MS + step * SILENCE_MS // 2))


def views(store: SqliteStore) -> dict[str, object]:
    return {
        "sessions": sorted(store.session_parts("", "~"), key=lambda part: (part.first, part.name)),
        "of no session": store.events_of_no_session("", "~"),
        "customers": sorted(store.identified_users()),
        "items": sorted(repr(row) for row in store.item_counts("", "~") if row[-2]),
        "minutes": sorted(repr(row) for row in store.minute_counts("", "~") if row[-2]),
        "pages": sorted(repr(row) for row in store.page_counts("", "~") if row[-2]),
    }


@given(st.lists(st.lists(events, max_size=6) | drops, max_size=10), st.integers(1, 3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@pytest.mark.parametrize("longest", [2_000, 2])
def test_what_is_counted_of_dropped_events_stays_whatever_comes_after(
    longest: int,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    steps: list[list[StoredClick] | str],
    at_most: int,
) -> None:
    """Beside a store that drops nothing; events of dropped times come to neither, as ingest refuses them."""
    monkeypatch.setattr(click_sessions, "LONGEST", longest)
    folder = tmp_path_factory.mktemp("store")
    dropping, keeping = SqliteStore(folder / "a.db"), SqliteStore(folder / "b.db")
    try:
        for step in steps:
            if isinstance(step, str):
                while dropping.drop_clicks(step, at_most):
                    assert views(dropping) == views(keeping)
                continue
            kept_from = dropping.clicks_kept_from()
            settled = {click.event_id for click in keeping.clicks() if click.timestamp < kept_from}
            batch = [each for each in step if each.timestamp >= kept_from and each.event_id not in settled]
            for store in (dropping, keeping):
                with store.unit():
                    store.put_clicks(batch)
        assert views(dropping) == views(keeping)
        with dropping.unit():
            dropping.replace_click_counts()
        assert views(dropping) == views(keeping)
        left = {click.event_id for click in dropping.clicks()}
        young = {click.event_id for click in keeping.clicks() if click.timestamp >= dropping.clicks_kept_from()}
        assert young <= left
    finally:
        dropping.close()
        keeping.close()


def test_events_leave_the_store_once_nothing_can_prolong_their_session(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "milepost.db")
    with store.unit():
        store.put_clicks([event(n, session, "view", n * SILENCE_MS, 1, "a") for n, session in enumerate("sts")])
        store.put_clicks([event(9, None, "view", 0, 1, "a")])
    while store.drop_clicks(timestamps.from_ms(NOON_MS + 2 * SILENCE_MS), 1):
        pass
    assert [click.event_id for click in store.clicks()] == ["e1", "e2"]  # e1: an event just after would prolong it
    assert list(store._db.execute("SELECT * FROM clicks_dropping")) == []
    store.close()


moments = st.integers(0, 4 * 24 * 60).map(lambda minute: timestamps.from_ms(NOON_MS + minute * 60_000))
midnights = st.integers(1, 5).map(lambda day: f"2026-01-0{day}T00:00:00.000Z")


def test_items_of_a_span_are_those_of_its_minutes(tmp_path: Path) -> None:
    """Though whole days come from a table of their own."""
    store = SqliteStore(tmp_path / "milepost.db")
    with store.unit():
        hours = range(0, 100, 3)
        store.put_clicks([event(hour, "s", "view", hour * 3_600_000, hour % 4, "a") for hour in hours])
        store.put_clicks([event(hour, "s", "view", hour * 3_600_000 + 60_000, 3, "b") for hour in hours])

    @given(moments | midnights | st.just(""), moments | midnights | st.just("~"))
    def agree(since: str, until: str) -> None:
        minutes = [row for row in store.minute_counts(since, until) if row[3]]
        items = [row for row in store.item_counts(since, until) if row[3]]
        assert sum(row[3] for row in items) == sum(row[3] for row in minutes)
        assert sum(row[4] for row in items) == sum(row[4] for row in minutes)

    agree()
    store.close()


def test_a_unit_that_fails_changes_no_session(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "milepost.db")

    def fail() -> None:
        with store.unit():
            store.put_clicks([event(2, "s1", "view", 9, 1, "a")])
            raise KeyError

    with store.unit():
        store.put_clicks([event(1, "s1", "page_view", 0, 1, "a")])
    with pytest.raises(KeyError):
        fail()
    assert [part.events for part in store.session_parts("", "~")] == [1]
    store.close()


def test_a_rebuild_gives_the_same_sessions(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "milepost.db")
    with store.unit():
        store.put_clicks([event(n, f"s{n % 3}", FUNNEL[n % 4], n * SILENCE_MS // 3, n % 4, "a") for n in range(40)])
    before = list(store.session_parts("", "~"))
    with store.unit():
        store.replace_click_counts()
    assert sorted(store.session_parts("", "~"), key=lambda part: part.name) == sorted(
        before, key=lambda part: part.name
    )
    store.close()
