"""The demo shop and beacon.js together, as a shopper uses them: what is done is counted, once, and as what it was."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Locator, Page
from starlette.types import ASGIApp, Receive, Scope, Send

from collector.beacon.http import reply
from contract import timestamps
from tests.simulator.shop.conftest import RECOMMENDATIONS, Visit
from tests.waiting import until

Shop = Callable[..., Visit]


def has_script(page: Page) -> bool:
    """Whether the beacon's script has run. Asked from here: the policy lets the page itself wait for nothing."""
    try:
        return bool(page.evaluate("!!(window.milepost && milepost.debug)"))
    except PlaywrightError:  # it was just left for another page
        return False


def test_a_whole_visit_is_counted_as_it_was_under_a_strict_policy(visit: Shop) -> None:
    shop = visit()
    page = shop.go()

    def press(what: Locator) -> None:
        """As nobody does who is not a program: on a page whose script is still on its way, it would not be counted."""
        what.wait_for()
        until(lambda: has_script(page))
        what.click()

    press(page.locator("a.card", has_text="Laptop, 13 inch"))
    press(page.locator("#add"))
    page.locator("input[type=search]").fill("camera")
    page.locator("input[type=search]").press("Enter")
    press(page.locator("a.card", has_text="mirrorless"))
    press(page.locator("#add"))
    press(page.locator("a.cart"))
    press(page.locator("tr", has_text="mirrorless").locator("button"))
    press(page.get_by_text("To checkout"))
    press(page.get_by_text("Send me the newsletter"))
    press(page.locator("#order button"))
    page.get_by_text("Thank you for your order").wait_for()
    for _ in range(2):
        page.reload()
        page.get_by_text("Thank you for your order").wait_for()
    shop.delivered()
    counts: dict[str, int] = {}
    for event in shop.events():
        counts[event.record["event_type"]] = counts.get(event.record["event_type"], 0) + 1
    counts.pop("page_leave", None)  # only of pages that were looked at for a second
    assert counts == {
        "page_view": 9, "click": 2, "view": 2, "add_to_cart": 2, "search": 1, "remove_from_cart": 1, "newsletter": 1,
        "identify": 1, "purchase": 1,
    }  # fmt: skip
    (search,), (purchase,) = shop.events("search"), shop.events("purchase")
    assert search.record["search_term"] == "camera"
    assert purchase.record["lines"] == [
        {
            "item_id": "LAP001",
            "item_name": "Laptop, 13 inch, 16 GB",
            "category": "laptops",
            "price": 1099,
            "quantity": 1,
            "currency": "EUR",
        }
    ]
    assert purchase.record["customer_id"] == "C-demo"
    assert len({(event.record["user_id"], event.record["session_id"]) for event in shop.events()}) == 1
    assert all(event.record["is_bot"] for event in shop.events()), "a browser that a program drives is a robot"
    assert shop.problems == []


def test_in_a_single_page_shop_each_route_is_a_page_that_is_viewed_and_left(visit: Shop) -> None:
    shop = visit(single_page=True)
    page = shop.go()
    page.wait_for_timeout(1100)
    page.get_by_role("link", name="Cameras").click()
    page.get_by_role("heading", name="Cameras").wait_for()
    page.wait_for_timeout(1100)
    page.mouse.wheel(0, 5000)
    page.locator("a.card", has_text="waterproof").click()
    page.get_by_role("heading", name="waterproof").wait_for()
    page.go_back()
    page.get_by_role("heading", name="Cameras").wait_for()
    page.wait_for_timeout(50)
    shop.delivered()
    views = [event.record["page"].rpartition("/shop/")[2] for event in shop.events("page_view")]
    assert views == ["", "cameras", "item/CAM003", "cameras"]
    titles = [event.record["title"] for event in shop.events("page_view")]
    assert titles[1:3] == ["Cameras", "Camera, action, waterproof"]
    left = {event.record["page"].rpartition("/shop/")[2]: event.record for event in shop.events("page_leave")}
    assert set(left) == {"", "cameras"}, "a page is left under its own name"
    assert all(1 <= each["engaged_seconds"] <= 10 for each in left.values())
    assert left["cameras"]["scroll_percent"] == 100
    referrers = [event.record.get("referrer_url", "").rpartition("/shop/")[2] for event in shop.events("page_view")]
    assert referrers[1:3] == ["", "cameras"]
    assert shop.problems == []


CLOCKS = {
    "8 days behind": -8 * 86_400_000,
    "3 h behind": -3 * 3_600_000,
    "59 min ahead": 59 * 60_000,
    "3 h ahead": 3 * 3_600_000,
}
SHORT = ("8 days behind", "59 min ahead")
CLOCK = """{
  const real = Date, error = %d;
  globalThis.Date = class extends real {
    constructor(...given) { given.length ? super(...given) : super(real.now() + error); }
    static now() { return real.now() + error; }
  };
}"""


@pytest.mark.parametrize(
    "error_ms",
    [pytest.param(error, id=name, marks=[] if name in SHORT else pytest.mark.prove) for name, error in CLOCKS.items()],
)
def test_a_wrong_clock_costs_no_event_and_no_minute(visit: Shop, error_ms: int) -> None:
    shop = visit(script=CLOCK % error_ms)
    page = shop.go("item/LAP001")
    page.locator("#add").click()
    shop.delivered()
    events = shop.events("page_view", "view", "add_to_cart")
    assert [event.record["event_type"] for event in events] == ["page_view", "view", "add_to_cart"]
    received = shop.writer.items[0].received_ms
    for event in events:
        assert event.record["time_quality"] in ("corrected", "received")
        assert abs(timestamps.to_ms(event.timestamp) - received) < 30_000


class Proxy:
    """Answers 403 to whatever holds one word, as a filter before the server does; the rest goes through."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.refused = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        if b"<script>" in body:
            self.refused += 1
            await reply(send, b"{}", status=403, headers=[(b"access-control-allow-origin", b"*")])
            return

        async def again() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, again, send)


def test_a_proxy_that_refuses_one_event_for_ever_holds_up_no_other(visit: Shop) -> None:
    shop = visit(before=Proxy)
    page = shop.go("cameras")
    page.evaluate("milepost.track('search', {search_term: '<script>'})")
    for number in range(5):
        page.evaluate(f"milepost.track('view', {{item_id: 'i{number}'}})")
    shop.go("laptops").evaluate("milepost.track('view', {item_id: 'later'})")
    shop.go("phones")
    for _ in range(200):
        rejected = page.evaluate("milepost.debug().rejected")
        if rejected:
            break
        page.evaluate("milepost.track('view', {item_id: 'i0'})")
        page.wait_for_timeout(50)
    assert [each["reason"] for each in rejected] == ["HTTP 403"]
    shop.delivered()
    assert {event.record["item_id"] for event in shop.events("view")} == {*(f"i{n}" for n in range(5)), "later"}
    assert shop.events("search") == []
    assert len(shop.events("page_view")) == 3


@pytest.mark.prove
def test_two_tabs_count_each_event_once_as_of_one_session(visit: Shop) -> None:
    shop = visit()
    first, second = shop.go("laptops"), shop.go("cameras", shop.tab())
    for number in range(30):
        for name, page in (("first", first), ("second", second)):
            page.evaluate(f"milepost.track('view', {{item_id: '{name}-{number}'}})")
    second.close()
    shop.delivered()
    shop.go()
    shop.delivered()
    views = [event.record["item_id"] for event in shop.events("view")]
    assert sorted(views) == sorted(f"{name}-{number}" for name in ("first", "second") for number in range(30))
    assert len({event.record["session_id"] for event in shop.events()}) == 1


def test_recommendations_are_drawn_and_their_views_and_clicks_say_where_they_stood(visit: Shop) -> None:
    shop = visit(single_page=True, script="Math.random = () => 0.5;")  # no session of the comparison group
    answer = '{"model_version": "m1", "items": ["LAP002", "no longer sold", "LAP003"]}'
    headers = {"access-control-allow-origin": "*"}
    asked = []

    def serve(route: Any) -> None:
        asked.append(route.request.url)
        route.fulfill(body=answer, headers=headers, content_type="application/json")

    shop.context.route(RECOMMENDATIONS, serve)
    page = shop.go("item/LAP001")
    page.locator("#recommended a.card").nth(1).click()
    page.get_by_role("heading", name="Laptop, 15 inch").wait_for()
    page.locator(".logo").click()
    page.locator("#recommended a.card").first.wait_for()
    shop.delivered()
    views, (click,) = shop.events("recommendation_view"), shop.events("recommendation_click")
    assert [line["item_id"] for line in views[0].record["lines"]] == ["LAP002", "LAP003"]
    said = {name: click.record[name] for name in ("item_id", "position", "model_version", "placement")}
    assert said == {"item_id": "LAP003", "position": 3, "model_version": "m1", "placement": "product"}
    assert click.record["recommendation_id"] == views[0].record["recommendation_id"]
    assert asked[0].endswith("n=4&items=LAP001")
    assert shop.problems == []
