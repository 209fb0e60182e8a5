"""The shop's marts: small cases by hand, and the recorded clickstream against independent SQL."""

import csv
import gzip
from collections.abc import Iterator
from typing import Any

import duckdb

from collector import queries
from tests.milepost_process import REPOSITORY
from tests.warehouse.fleet import Fleet, at

NOON = "2024-06-01T12:00:00.000Z"
RECORDED = REPOSITORY / "tests" / "recordings" / "web" / "eshop_clothing_2008_odd_sessions.csv.gz"


def _event(number: int, kind: str, minute: float, **more: Any) -> dict[str, Any]:
    event = {"event_id": f"e{number}", "event_type": kind, "timestamp": at(NOON, minute * 60), "user_id": "u1"}
    return {**event, **more}


def _shop(fleet: Fleet) -> None:
    item = {"item_id": "X", "item_name": "Phone", "price": 10.0, "quantity": 2}
    fleet.click(
        [
            _event(0, "page_view", 0, session_id="a", page="/"),
            _event(1, "view", 1, session_id="a", **item),
            _event(2, "add_to_cart", 2, session_id="a", **item),
            _event(3, "page_view", 3, session_id="a", page="/cart"),
            _event(4, "purchase", 4, session_id="a", order_id="o1", **item),
            _event(5, "purchase", 5, session_id="a", order_id="o1", **item),
            _event(6, "add_to_cart", 60, session_id="a", **item),
            _event(7, "view", 0, session_id="b", user_id="u2", **item),
            _event(8, "page_view", 1, session_id="b", user_id="u2", page="/"),
            _event(9, "click", 1, user_id="u3", item_id="Y", click_count=7),
        ]
    )
    fleet.build()
    fleet.build_marts()


def test_sessions_split_at_thirty_minutes_and_count_an_order_once(fleet: Fleet) -> None:
    _shop(fleet)
    rows = {row["session_id"]: row for row in fleet.query("SELECT * FROM session")}
    assert set(rows) == {"a", "a.2", "b"}
    first = rows["a"]
    assert (first["page_views"], first["viewed"], first["added"], first["purchased"]) == (2, 1, 1, 1)
    assert (first["revenue"], first["abandoned"], first["landing_page"], first["exit_page"]) == (
        20,
        False,
        "/",
        "/cart",
    )
    assert (rows["a.2"]["abandoned"], rows["a.2"]["started_at"]) == (True, "2024-06-01T13:00:00.000Z")


def test_users_of_one_browser_are_one_and_the_customer_that_any_of_them_names(fleet: Fleet) -> None:
    """u3 and u2 share a browser, u2 and u1 another: all are u1, who turns out to be c1."""
    shared = [("u3", "B"), ("u2", "B"), ("u2", "C"), ("u1", "C"), ("u9", None)]
    fleet.click(
        [
            *(
                _event(
                    n, "page_view", n, session_id=f"s{n}", user_id=user, **({"browser_id": browser} if browser else {})
                )
                for n, (user, browser) in enumerate(shared)
            ),
            _event(8, "page_view", 8, session_id="s3", user_id="u1", customer_id="c1"),
        ]
    )
    fleet.build()
    fleet.build_marts()
    rows = fleet.query("SELECT user_id, customer_id FROM session ORDER BY session_id")
    assert [tuple(row.values()) for row in rows] == [("u1", "c1")] * 4 + [("u9", None)]
    assert fleet.query("SELECT users, new_users FROM traffic_day") == [{"users": 2, "new_users": 2}]
    with queries.opened_reader(fleet.url) as reader:
        said = queries.clicks(reader, by="session")
    assert [(row["session_id"], row["customer_id"]) for row in said] == [
        (f"s{n}", "c1" if n < 4 else None) for n in range(5)
    ]


def test_funnel_steps_count_in_time_order(fleet: Fleet) -> None:
    """In session b the view comes before the page view: it reaches the first step alone."""
    _shop(fleet)
    rows = fleet.query("SELECT * FROM funnel_day")
    assert {row["step"]: row["sessions"] for row in rows} == {
        "page_view": 2,
        "view": 1,
        "add_to_cart": 1,
        "purchase": 1,
        "unattributed": 1,
    }
    assert fleet.query("SELECT from_page, to_page, sessions FROM page_flow") == [
        {"from_page": "/", "to_page": "/cart", "sessions": 1}
    ]


def test_products_and_hours(fleet: Fleet) -> None:
    _shop(fleet)
    phone, other = fleet.query("SELECT * FROM product_day ORDER BY item_id")
    assert (phone["views"], phone["added"], phone["purchased"], phone["revenue"]) == (2, 2, 1, 20)
    assert (phone["view_to_cart"], phone["cart_to_purchase"], phone["item_name"]) == (1, 0.5, "Phone")
    assert (other["clicks"], other["view_to_cart"]) == (7, None)
    noon, one = fleet.query("SELECT * FROM traffic_hour ORDER BY hour")
    assert (noon["sessions"], noon["users"], noon["purchases"], noon["conversion"]) == (2, 3, 1, 0.5)
    assert (one["sessions"], one["page_views"], one["conversion"]) == (1, 0, 0)


def test_a_session_that_is_named_like_another_ones_part_breaks_nothing(fleet: Fleet) -> None:
    fleet.click([_event(n, "page_view", minute, session_id=name) for n, (minute, name) in enumerate(_NAMED)])
    fleet.build()
    fleet.build_marts()
    assert [row["session_id"] for row in fleet.query("SELECT * FROM session ORDER BY 1")] == ["a", "a.2"]


_NAMED = [(0, "a"), (60, "a"), (60, "a.2")]


def _recorded() -> Iterator[dict[str, Any]]:
    with gzip.open(RECORDED, "rt", encoding="utf-8") as lines:
        for number, row in enumerate(csv.DictReader(lines, delimiter=";")):
            if number == 3_000:
                return
            day = f"2024-{int(row['month']):02d}-{int(row['day']):02d}T10:00:00.000Z"
            yield {
                "event_id": f"r{number}",
                "event_type": "view",
                "timestamp": at(day, int(row["order"])),
                "session_id": row["session ID"],
                "item_id": row["page 2 (clothing model)"],
                "category": row["page 1 (main category)"],
                "location": row["country"],
                "price": float(row["price"]),
            }


def test_the_recorded_clickstream_equals_independent_sql(fleet: Fleet) -> None:
    events = list(_recorded())
    fleet.click(events)
    fleet.build()
    fleet.build_marts()
    with duckdb.connect() as db:
        db.execute("CREATE TABLE e (session VARCHAR, item VARCHAR, day DATE)")
        rows = [(event["session_id"], event["item_id"], event["timestamp"][:10]) for event in events]
        db.executemany("INSERT INTO e VALUES (?, ?, ?)", rows)
        sessions = db.execute("SELECT session, count(*) FROM e GROUP BY 1 ORDER BY 1").fetchall()
        products = db.execute(
            "SELECT CAST(day AS VARCHAR), item, count(*) FROM e GROUP BY 1, 2 ORDER BY 1, 2"
        ).fetchall()
        hours = db.execute(
            "SELECT CAST(day AS VARCHAR), count(DISTINCT session) FROM e GROUP BY 1 ORDER BY 1"
        ).fetchall()
    found = fleet.query("SELECT session_id, viewed FROM session ORDER BY 1")
    assert [(row["session_id"], row["viewed"]) for row in found] == sessions
    found = fleet.query("SELECT day, item_id, views FROM product_day ORDER BY 1, 2")
    assert [(row["day"], row["item_id"], row["views"]) for row in found] == products
    found = fleet.query("SELECT hour, sessions FROM traffic_hour ORDER BY 1")
    assert [(row["hour"][:10], row["sessions"]) for row in found] == hours
    assert {row["sessions"] for row in fleet.query("SELECT * FROM funnel_day")} == {0}  # views without a page view
