"""Refused clicks are bounded by age and size, counted ones by `click_days`; nothing else is ever removed."""

import itertools
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.beacon.settings import BeaconSettings
from collector.history import TrackingPolicy
from collector.ingest import Ingest
from collector.queries.clicks import VIEWS, clicks
from collector.rows import DeadLetter
from collector.stores import Store
from collector.stores.factory import open_reader, open_store
from contract import timestamps
from contract.ingest_items import Item
from standalone.click_retention import EvenClock, expired, first_kept_day, keep_within
from standalone.group_commit_writer import Writer
from tests.waiting import until

DAY = 86_400_000
NOW = 200 * DAY
SMALL = BeaconSettings(dead_letter_days=30, dead_letter_mb=0.01)  # some 10 KB

Letters = st.lists(
    st.builds(
        DeadLetter,
        id=st.text("abcdef", min_size=1, max_size=6),
        received_ms=st.integers(150 * DAY, NOW),
        source=st.sampled_from(["http:clicks", "http:telemetry", "mqtt", "file:x"]),
        field=st.just(""),
        reason=st.just("no"),
        payload=st.integers(0, 4000).map(bytes),
    ),
    unique_by=lambda letter: letter.id,
)


@given(Letters)
def test_what_stays_is_young_within_the_bound_and_newer_than_what_goes(letters: list[DeadLetter]) -> None:
    gone = set(expired(letters, SMALL, NOW))
    clicks = [one for one in letters if one.source == "http:clicks"]
    kept = [one for one in clicks if one.id not in gone]
    assert gone <= {one.id for one in clicks}
    assert all(one.received_ms >= NOW - 30 * DAY for one in kept)
    assert sum(len(one.payload) for one in kept) <= SMALL.dead_letter_mb * 1024 * 1024
    youngest_gone = max((one.received_ms for one in clicks if one.id in gone), default=0)
    assert all(one.received_ms >= youngest_gone for one in kept)


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    url = f"sqlite:///{tmp_path}/store.db"
    store = open_store(url)
    letters = [
        DeadLetter(f"{source}{number}", number, source, "f", "no", b"x")
        for number in range(3)
        for source in ("http:clicks", "mqtt")
    ]
    store.put_dead_letters(letters)
    store.close()
    return url


def test_the_running_loop_removes_old_refused_clicks_and_keeps_the_trucks(url: str) -> None:
    store, stop = open_store(url), threading.Event()
    with Writer(store, Ingest(store, TrackingPolicy.of("every-sample"))) as writer:
        arguments = (writer, partial(open_reader, url), SMALL)
        thread = threading.Thread(target=keep_within, args=arguments, kwargs={"stop": stop, "clock": lambda: NOW})
        thread.start()

        def left() -> list[str]:
            return writer.call(lambda store: [one.id for one in store.dead_letters()]).result()

        until(lambda: left() == ["mqtt0", "mqtt1", "mqtt2"])
        stop.set()
        thread.join(60)
    store.close()


def test_old_counted_events_go_and_stay_counted_and_a_repeat_is_refused_with_a_letter(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    store, stop = open_store(url), threading.Event()
    old = b'{"event_id": "old", "event_type": "view", "session_id": "s", "timestamp": "2026-01-01T00:00:00Z"}'
    young = b'{"event_id": "young", "event_type": "view", "session_id": "s"}'
    now = time.time_ns() // 1_000_000

    def post(writer: Writer, source: str) -> list[str]:
        items = [Item("click", source, payload, now) for payload in (old, young)]
        return [receipt.status for receipt in writer.submit(items).result()]

    def seen(store: Store) -> list[object]:
        return [clicks(store, view) for view in VIEWS]

    with Writer(store, Ingest(store, TrackingPolicy.of("every-sample"))) as writer:
        assert post(writer, "http:clicks") == ["accepted", "accepted"]
        before = writer.call(seen).result()
        arguments = (writer, partial(open_reader, url), BeaconSettings(click_days=30))
        thread = threading.Thread(target=keep_within, args=arguments, kwargs={"stop": stop, "clock": lambda: now})
        thread.start()
        until(lambda: writer.call(lambda store: [one.event_id for one in store.clicks()]).result() == ["young"])
        stop.set()
        thread.join(60)
        assert post(writer, "http:clicks") == ["rejected", "duplicate"]
        assert post(writer, "file:clicks") == ["rejected", "duplicate"]
        assert writer.call(seen).result() == before
        letters = writer.call(lambda store: list(store.dead_letters())).result()
        assert [(one.field, one.reason[:7]) for one in letters] == [("timestamp", "too_old")] * 2
    store.close()


class OneRound(threading.Event):
    """Ends a loop where it would wait for its next round."""

    def wait(self, timeout: float | None = None) -> bool:
        self.set()
        return True


def test_nothing_goes_by_a_clock_that_was_set_and_set_back(tmp_path: Path) -> None:
    """A machine that began in another century dropped every event at once, and refused those of the next 70 years."""
    url = f"sqlite:///{tmp_path}/store.db"
    store, now = open_store(url), time.time_ns() // 1_000_000
    item = Item("click", "http:clicks", b'{"event_id": "E1", "event_type": "view"}', now)
    later = item._replace(record=b'{"event_id": "E2", "event_type": "view"}')
    in_2096 = now + 70 * 365 * DAY
    with Writer(store, Ingest(store, TrackingPolicy.of("every-sample"))) as writer:
        writer.submit([item]).result()
        for second_ms in (in_2096 + 1_200_000, now):
            clock = EvenClock(iter((in_2096, second_ms, now)).__next__, itertools.count(0, 1200).__next__)
            settings = BeaconSettings(click_days=30)
            keep_within(writer, partial(open_reader, url), settings, stop=OneRound(), clock=clock.now_ms)
        assert [it.status for it in writer.submit([item, later]).result()] == ["duplicate", "accepted"]
    store.close()


def test_a_clock_is_believed_after_an_hour_without_a_step() -> None:
    wall, seconds = [NOW], [0.0]
    clock = EvenClock(lambda: wall[0], lambda: seconds[0])

    def after(passed: float, step_ms: int = 0) -> int | None:
        seconds[0] += passed
        wall[0] += round(passed * 1000) + step_ms
        return clock.now_ms()

    assert after(3599) is None
    assert after(1) == NOW + 3_600_000
    assert after(600, step_ms=400 * DAY) is None
    assert after(3000) is None
    assert after(600) == wall[0]
    assert after(600, step_ms=-400 * DAY) is None
    assert after(3600) == wall[0]


def test_without_a_clock_refused_clicks_go_by_their_size_alone() -> None:
    letters = [DeadLetter(str(n), n, "http:clicks", "", "no", bytes(4000)) for n in range(4)]
    assert expired(letters, SMALL, None) == ["0", "1"]


def test_days_are_kept_whole() -> None:
    noon = 20_000 * DAY + DAY // 2
    assert first_kept_day(30, noon) == timestamps.from_ms(19_970 * DAY)
