"""What the shoppers did, from every side."""

from typing import Any

import pytest

from collector import queries
from tests.collector.stores_on_disk import Collector
from tests.contract.examples import RECEIVED_MS, click


def _event(number: int, kind: str, **more: Any) -> dict[str, Any]:
    return click(event_id=f"e{number}", event_type=kind, timestamp=f"2024-06-01T11:{number:02d}:30Z", **more)


@pytest.fixture
def filled(collector: Collector) -> Collector:
    """Three sessions: one that buys, one that looks, one that was only seen; and an event of no session."""
    nothing: dict[str, None] = {"item_id": None, "item_name": None}
    events = [
        _event(1, "page_view", session_id="buyer", page="/", **nothing),
        _event(2, "view", session_id="buyer"),
        _event(2, "view", session_id="buyer"),
        _event(3, "add_to_cart", session_id="buyer", click_count=2),
        _event(4, "purchase", session_id="buyer"),
        _event(5, "page_view", session_id="looker", page="/", **nothing),
        _event(6, "view", session_id="looker", item_id="B4", item_name="Hat"),
        _event(7, "page_view", session_id="passer", page="/", **nothing),
        _event(8, "click", session_id=None, click_count=0),
        {"Item_ID": 13, "Item_Name": "Sock", "Click_Counts": 5, "Timestamp": "2024-06-01 11:09:00"},
    ]
    collector.take(*events, kind="click", source="file:clicks")
    return collector


def test_by_item(filled: Collector) -> None:
    assert queries.clicks(filled.store, "item") == [
        {"item_id": None, "item_name": None, "event_type": "page_view", "count": 3},
        {"item_id": "13", "item_name": "Sock", "event_type": "click", "count": 5},
        {"item_id": "A13", "item_name": "Boots", "event_type": "add_to_cart", "count": 2},
        {"item_id": "A13", "item_name": "Boots", "event_type": "purchase", "count": 1},
        {"item_id": "A13", "item_name": "Boots", "event_type": "view", "count": 1},
        {"item_id": "B4", "item_name": "Hat", "event_type": "view", "count": 1},
    ]


def test_by_minute(filled: Collector) -> None:
    rows = queries.clicks(filled.store, "minute")
    assert rows[0] == {"minute": "2024-06-01T11:01:00.000Z", "item_id": None, "event_type": "page_view", "count": 1}
    assert [row["minute"] for row in rows] == sorted(row["minute"] for row in rows)
    assert sum(row["count"] for row in rows) == 13


def test_by_page(filled: Collector) -> None:
    rows = queries.clicks(filled.store, "page")
    assert {"page": "/", "event_type": "page_view", "count": 3} in rows
    assert {"page": "/shoes", "event_type": "add_to_cart", "count": 2} in rows
    assert {"page": None, "event_type": "click", "count": 5} in rows


def test_by_session(filled: Collector) -> None:
    buyer, looker, passer = queries.clicks(filled.store, "session")
    assert buyer == {
        "session_id": "buyer",
        "first": "2024-06-01T11:01:30.000Z",
        "last": "2024-06-01T11:04:30.000Z",
        "events": 4,
        "count": 5,
        "purchases": 1,
        "user_id": click().get("user_id"),
        "customer_id": None,
        "user_type": buyer["user_type"],
    }
    assert (looker["session_id"], passer["session_id"], passer["events"]) == ("looker", "passer", 1)


def test_by_funnel(filled: Collector) -> None:
    assert queries.clicks(filled.store, "funnel") == [
        {"step": "page_view", "sessions": 3, "share": 1.0},
        {"step": "view", "sessions": 2, "share": 0.6667},
        {"step": "add_to_cart", "sessions": 1, "share": 0.3333},
        {"step": "purchase", "sessions": 1, "share": 0.3333},
        {"step": "unattributed", "sessions": 2, "share": None},
    ]


def test_a_deeper_step_invents_no_earlier_one(collector: Collector) -> None:
    """A purchase without a page view before it, and one whose view came after it."""
    collector.take(
        _event(1, "purchase", session_id="blind"),
        _event(2, "page_view", session_id="late"),
        _event(3, "purchase", session_id="late"),
        _event(4, "view", session_id="late"),
        kind="click",
    )
    steps = {row["step"]: row["sessions"] for row in queries.clicks(collector.store, "funnel")}
    assert steps == {"page_view": 1, "view": 1, "add_to_cart": 0, "purchase": 0, "unattributed": 0}


def test_half_an_hour_of_silence_ends_a_session_and_an_order_is_bought_once(collector: Collector) -> None:
    collector.take(
        _event(1, "view", session_id="s"),
        _event(31, "purchase", session_id="s", order_id="o"),
        _event(32, "purchase", session_id="s", order_id="o"),
        {**_event(0, "view", session_id="s"), "timestamp": "2024-06-01T12:02:30.001Z", "event_id": "later"},
        kind="click",
        received_ms=RECEIVED_MS + 3_600_000,
    )
    rows = queries.clicks(collector.store, "session")
    assert [(row["session_id"], row["events"], row["purchases"]) for row in rows] == [("s", 3, 1), ("s.2", 1, 0)]


@pytest.mark.parametrize("by", sorted(queries.VIEWS))
def test_no_store_has_no_clicks(by: str) -> None:
    assert queries.clicks(None, by) == []


def test_an_empty_store_has_a_funnel_without_shares(collector: Collector) -> None:
    assert [row["share"] for row in queries.clicks(collector.store, "funnel")] == [None] * 5


def test_a_span_and_the_first_rows(filled: Collector) -> None:
    span = {"since": "2024-06-01T11:05:00.000Z", "until": "2024-06-01T11:07:00.000Z"}
    assert [row["session_id"] for row in queries.clicks(filled.store, "session", **span)] == ["looker"]
    assert [row["count"] for row in queries.clicks(filled.store, "item", **span)] == [1, 1]
    assert [row["sessions"] for row in queries.clicks(filled.store, "funnel", **span)] == [1, 1, 0, 0, 0]
    assert [row["item_id"] for row in queries.clicks(filled.store, "item", top=2)] == ["13", None]
    assert [row["session_id"] for row in queries.clicks(filled.store, "session", top=1)] == ["passer"]
    assert queries.clicks(filled.store, "minute", top=1)[0]["minute"] == "2024-06-01T11:09:00.000Z"


def test_robots_are_counted_and_told_apart(filled: Collector) -> None:
    robot = _event(20, "page_view", session_id="robot", page="/", item_id=None, item_name=None, is_bot=True)
    filled.take(robot, kind="click", received_ms=RECEIVED_MS + 3_600_000)
    views = {by: queries.clicks(filled.store, by) for by in ("item", "page", "minute", "funnel", "session")}
    assert {"item_id": None, "item_name": None, "event_type": "page_view", "count": 4, "bots": 1} in views["item"]
    assert {"page": "/", "event_type": "page_view", "count": 4, "bots": 1} in views["page"]
    assert views["funnel"][0] == {"step": "page_view", "sessions": 4, "share": 1.0, "bots": 1}
    assert [row["session_id"] for row in views["session"] if row["bots"]] == ["robot"]
    assert sum(row["bots"] for row in views["minute"]) == 1


def test_a_browser_is_known_in_hindsight_and_new_only_once(collector: Collector) -> None:
    """Two browsers of one customer, of whom the first two visits were anonymous."""
    collector.take(
        _event(1, "view", session_id="a", user_id="phone"),
        _event(2, "view", session_id="b", user_id="laptop"),
        _event(3, "identify", session_id="c", user_id="phone", customer_id="C1"),
        _event(4, "identify", session_id="d", user_id="laptop", customer_id="C1"),
        _event(5, "view", session_id="e", user_id="nobody"),
        kind="click",
    )
    rows = queries.clicks(collector.store, "session")
    assert [(row["session_id"], row["customer_id"], row["user_type"]) for row in rows] == [
        ("a", "C1", "new"),
        ("b", "C1", "returning"),
        ("c", "C1", "returning"),
        ("d", "C1", "returning"),
        ("e", None, "new"),
    ]
    later = queries.clicks(collector.store, "session", since="2024-06-01T11:03:00.000Z")
    assert [row["user_type"] for row in later] == ["returning", "returning", "new"]
