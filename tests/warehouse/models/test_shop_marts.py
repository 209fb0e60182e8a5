"""Pages, searches, campaigns, recommendations and stock against hand calculations of small visits."""

from typing import Any

from commerce.registers.documents import ITEMS
from commerce.registers.register import Register
from contract import timestamps
from tests.warehouse.fleet import Fleet, at

NOON = "2024-06-01T12:00:00.000Z"


def _events(*events: tuple[float, str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"event_id": f"e{n}", "event_type": kind, "timestamp": at(NOON, minute * 60), "user_id": "u1", **more}
        for n, (minute, kind, more) in enumerate(events)
    ]


def _rows(fleet: Fleet, sql: str, events: list[dict[str, Any]]) -> list[list[Any]]:
    fleet.click(events)
    fleet.build()
    fleet.build_marts()
    return [list(row.values()) for row in fleet.query(sql)]


def test_pages(fleet: Fleet) -> None:
    events = _events(
        (0, "page_view", {"session_id": "a", "page": "/"}),
        (1, "page_leave", {"session_id": "a", "page": "/", "engaged_seconds": 40, "scroll_percent": 80}),
        (2, "page_view", {"session_id": "a", "page": "/cart"}),
        (3, "page_view", {"session_id": "b", "page": "/", "scroll_percent": 20}),
        (4, "page_view", {"page": "/"}),
    )
    sql = "SELECT page, views, sessions, entrances, exits, engaged_s, scroll_mean FROM page_day ORDER BY page"
    assert _rows(fleet, sql, events) == [["/", 3, 2, 2, 1, 40, 50], ["/cart", 1, 1, 0, 1, None, None]]


def test_searches(fleet: Fleet) -> None:
    session = {"session_id": "a"}
    events = _events(
        (0, "search", {**session, "search_term": " Shoes ", "search_results": 3}),
        (1, "view", {**session, "item_id": "X"}),
        (2, "search", {**session, "search_term": "shoes", "search_results": 0}),
        (3, "search", {"search_term": "", "search_results": 2}),
    )
    sql = "SELECT term, searches, without_results, clicked FROM search_day ORDER BY term"
    assert _rows(fleet, sql, events) == [["shoes", 2, 1, 1], ["unknown", 1, 0, 0]]


def test_campaigns_by_first_and_last_touch(fleet: Fleet) -> None:
    """Newsletter on day 0, an advertisement on day 2, straight to the shop on day 3, where two are bought."""
    day = 24 * 60
    letter = {"session_id": "a", "utm_source": "letter", "utm_medium": "email", "utm_campaign": "june"}
    advertised = {"session_id": "b", "utm_source": "ads", "utm_campaign": "summer"}
    bought = {"item_id": "X", "price": 30.0, "quantity": 1}
    events = _events(
        (0, "page_view", letter),
        (2 * day, "page_view", advertised),
        (3 * day, "page_view", {"session_id": "c"}),
        (3 * day + 5, "purchase", {"session_id": "c", "order_id": "o1", **bought}),
        (40 * day, "purchase", {"order_id": "o2", **bought, "user_id": "u9"}),
    )
    sql = "SELECT * FROM campaign_day ORDER BY day, source"
    assert _rows(fleet, sql, events) == [
        ["2024-06-01", "letter", "email", "june", 1, 1, 0, 0, 0],
        ["2024-06-03", "ads", "none", "summer", 1, 0, 0, 0, 0],
        ["2024-06-04", "ads", "none", "summer", 0, 0, 1, 0, 30],
        ["2024-06-04", "direct", "none", "none", 1, 0, 0, 0, 0],
        ["2024-06-04", "letter", "email", "june", 0, 0, 0, 30, 0],
        ["2024-07-11", "unattributed", "none", "none", 0, 0, 1, 30, 30],
    ]


def test_recommendations_are_paid_for_by_sales_after_the_click(fleet: Fleet) -> None:
    shown = {"session_id": "a", "recommendation_id": "r1", "model_version": "m1", "placement": "cart"}
    events = _events(
        (0, "recommendation_view", shown),
        (1, "click", {**shown, "item_id": "X"}),
        (2, "purchase", {"session_id": "a", "order_id": "o1", "item_id": "X", "price": 5.0, "quantity": 2}),
        (3, "purchase", {"session_id": "a", "order_id": "o2", "item_id": "Y", "price": 5.0}),
        (4, "recommendation_view", {**shown, "session_id": "b", "model_version": "popularity"}),
    )
    sql = "SELECT model_version, placement, shown, clicked, bought, revenue FROM recommendation_day ORDER BY 1"
    assert _rows(fleet, sql, events) == [["m1", "cart", 1, 1, 1, 10], ["popularity", "cart", 1, 0, 0, 0]]


def test_stock_lasts_by_the_sales_of_seven_days(fleet: Fleet) -> None:
    for item, stock in (("X", 14), ("Y", 3)):
        document = {"item_id": item, "name": f"Item {item}", "stock": stock, "valid_from": "2024-01-01T00:00:00Z"}
        Register(fleet.shop, ITEMS).put(ITEMS.read(document), received_ms=timestamps.to_ms(NOON))
    week = 7 * 24 * 60
    events = _events(
        (0, "purchase", {"order_id": "o1", "item_id": "X", "price": 1.0, "quantity": 50}),
        (week, "purchase", {"order_id": "o2", "item_id": "X", "price": 1.0, "quantity": 7}),
        (week, "view", {"item_id": "Z", "item_name": "Unlisted"}),
    )
    sql = "SELECT item_id, stock, units_sold_7d, days_left FROM stock_cover ORDER BY item_id"
    assert _rows(fleet, sql, events) == [["X", 14, 7, 14], ["Y", 3, 0, None]]
    items = fleet.query("SELECT item_id, item_name, source FROM item ORDER BY item_id")
    assert [list(row.values()) for row in items] == [
        ["X", "Item X", "catalogue"],
        ["Y", "Item Y", "catalogue"],
        ["Z", "Unlisted", "clicks"],
    ]
