"""The shop page's numbers: any period, filter, breakdown and funnel, from the same events as the queries."""

import random
from contextlib import nullcontext
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector import queries
from console.shop_view import STANDARD, ShopView
from contract import timestamps
from contract.errors import Rejected
from tests.collector.stores_on_disk import Collector
from tests.contract.examples import RECEIVED_MS, click

HOUR_MS = 3_600_000
FIRST, LAST = RECEIVED_MS - 48 * HOUR_MS, RECEIVED_MS


def at(minutes: float) -> str:
    return timestamps.from_ms(RECEIVED_MS - 24 * HOUR_MS + round(minutes * 60_000))


def view_of(collector: Collector, most: int = 100_000) -> ShopView:
    return ShopView(lambda: nullcontext(collector.store), now_ms=lambda: RECEIVED_MS, every=0, most=most)


EVENTS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 90), st.sampled_from([*STANDARD, "search"])), max_size=25
)


@settings(max_examples=25)
@given(EVENTS, st.randoms(use_true_random=False))
def test_the_standard_funnel_is_that_of_the_queries_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[str, int, str]], chance: random.Random
) -> None:
    collector = Collector(tmp_path_factory.mktemp("shop") / "milepost.db")
    view = view_of(collector)
    records = [
        click(event_id=f"e{nth}", session_id=session, timestamp=at(minute), event_type=kind)
        for nth, (session, minute, kind) in enumerate(events)
    ]
    chance.shuffle(records)
    for record in records:
        collector.take(record, kind="click")
        if chance.random() < 0.3:
            view.newest(1)  # looks in between
    found = view.funnel(STANDARD, FIRST, LAST, {})
    assert [(row["step"], row["sessions"]) for row in found] == [
        (row["step"], row["sessions"]) for row in queries.clicks(collector.store, "funnel")[:-1]
    ]
    sessions = queries.clicks(collector.store, "session")
    totals = view.summary(FIRST, LAST, {}, "page")["now"]
    assert (totals["sessions"], totals["events"]) == (len(sessions), len(records))
    assert totals["purchases"] == sum(row["purchases"] > 0 for row in sessions)
    collector.close()


def test_a_period_stands_beside_the_one_before_and_can_be_filtered_and_broken_down(tmp_path: Path) -> None:
    collector = Collector(tmp_path / "milepost.db")
    collector.take(
        click(event_id="1", session_id="a", timestamp=at(0), page="/x", utm_source="mail", country="DE"),
        click(event_id="2", session_id="a", timestamp=at(1), page="/y", event_type="purchase", country="DE"),
        click(event_id="3", session_id="b", timestamp=at(2), page="/x", referrer_url="https://s.example/q"),
        click(event_id="4", session_id="c", timestamp=at(3), page="/x", is_bot=True),
        click(event_id="5", session_id="d", timestamp=at(-100), page="/x"),
        kind="click",
    )
    view = view_of(collector)
    begin, end = timestamps.to_ms(at(-10)), timestamps.to_ms(at(110))
    found = view.summary(begin, end, {}, "page")
    assert (found["now"], found["before"]["sessions"], found["complete_from"]) == (
        {"events": 3, "sessions": 2, "purchases": 1, "conversion": 0.5}, 1, None
    )  # fmt: skip
    rows = {row["value"]: (row["sessions"], row["purchases"], row["before"]) for row in found["by"]}
    assert rows == {"/x": (2, 1, 1), "/y": (1, 1, 0)}
    assert sum(now for _, now, _ in found["points"]) == 3
    by_source = view.summary(begin, end, {}, "source")["by"]
    assert {row["value"] for row in by_source} == {"mail", "direct", "s.example"}
    assert view.summary(begin, end, {"country": "DE"}, "page")["now"]["sessions"] == 1
    assert view.summary(begin, end, {"page": "/y", "source": "mail"}, "page")["now"]["sessions"] == 1
    assert view.funnel(["click", "purchase"], begin, end, {})[1] == {"step": "purchase", "sessions": 1, "share": 0.5}
    for steps in (["click"], ["click"] * 7):
        with pytest.raises(Rejected):
            view.funnel(steps, begin, end, {})
    with pytest.raises(Rejected):
        view.summary(begin, end, {}, "shoe_size")
    collector.close()


def test_of_many_events_the_newest_are_kept_and_it_says_from_when_on(tmp_path: Path) -> None:
    collector = Collector(tmp_path / "milepost.db")
    view = view_of(collector, most=3)
    for minute in range(5):
        collector.take(click(event_id=str(minute), session_id=str(minute), timestamp=at(minute)), kind="click")
        view.newest(1)
    found = view.summary(FIRST, LAST, {}, "page")
    assert (found["now"]["sessions"], found["complete_from"]) == (3, at(2))
    collector.close()


def test_an_event_is_seen_with_what_was_refused_of_it_and_a_session_step_by_step(
    url: str, collector: Collector
) -> None:
    collector.take(click(event_id="new", session_id="s", price="cheap"), kind="click")
    collector.take({"event_type": 7, "event_id": [1]}, kind="click", source="http:clicks")
    newest = httpx.get(f"{url}/api/v1/shop/newest", params={"limit": 1}, timeout=60).json()
    assert newest["events"][0]["event_id"] == "new"
    assert "price" in newest["events"][0]["refused"]
    assert newest["refused"][0]["field"] == "event_id"
    steps = httpx.get(f"{url}/api/v1/sessions/s", timeout=60).json()
    assert [step["event_type"] for step in steps] == ["click", "click"]
    assert httpx.get(f"{url}/api/v1/sessions/nobody", timeout=60).status_code == 404
