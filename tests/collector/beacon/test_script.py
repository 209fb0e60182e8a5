"""beacon.js in a real browser, on pages of another origin than the beacon's."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from collector.beacon import BeaconSettings, create_app
from tests.collector.beacon.conftest import serve
from tests.collector.beacon.fakes import FakeWriter

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="no /usr/bin/chromium: apt-get install chromium")

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",  # or it may end when the page has loaded
)

# Sends what the page finds out, and every error that reaches the page, to the test.
REPORTER = """<script>
  function report(name, value) { navigator.sendBeacon('/report', JSON.stringify([name, value])); }
  onerror = function (message) { report('error', message); };
  onunhandledrejection = function (event) { report('error', String(event.reason)); };
  function outbox() {
    return Object.keys(localStorage).filter(function (key) { return key.startsWith('milepost.event.'); });
  }
  function when(condition, then) {
    var timer = setInterval(function () { if (condition()) { clearInterval(timer); then(); } }, 20);
  }
</script>"""


class Shop:
    """A web shop of test pages, with the beacon behind another host name."""

    def __init__(self, writer: FakeWriter, settings: BeaconSettings) -> None:
        self.writer = writer
        self.pages: dict[str, str] = {}
        self.on_page: dict[str, Callable[[], None]] = {}
        self.reports: dict[str, Any] = {}
        self.app = create_app(writer.submit, settings=settings)
        self.app.router.routes += [
            Route("/report", self._report, methods=["POST"]),
            Route("/shop/{page}", self._page, methods=["GET"]),
        ]

    async def _page(self, request: Request) -> Response:
        name = request.path_params["page"]
        self.on_page.get(name, lambda: None)()
        beacon = f"http://127.0.0.1:{request.url.port}/beacon.js"
        return HTMLResponse(f"<!doctype html>{REPORTER}{self.pages[name].replace('BEACON', beacon)}")

    async def _report(self, request: Request) -> Response:
        name, value = json.loads(await request.body())
        self.reports[name] = value
        return Response(status_code=204)

    def events(self, event_type: str | None = None) -> list[dict[str, Any]]:
        """What the writer has committed, repeats left out."""
        found = {item.record["event_id"]: item.record for item in self.writer.items if isinstance(item.record, dict)}
        return [event for event in found.values() if event_type in (None, event["event_type"])]

    def until(self, condition: Callable[[], object], seconds: float = 90.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert "error" not in self.reports, self.reports
            assert time.monotonic() < deadline, (self.reports, self.writer.items)
            time.sleep(0.02)
        assert "error" not in self.reports, self.reports


@pytest.fixture
def shop(request: pytest.FixtureRequest) -> Shop:
    """Of other settings by indirect parametrization."""
    return Shop(FakeWriter(), getattr(request, "param", BeaconSettings()))


@pytest.fixture
def visit(shop: Shop, tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Opens a page of the shop in a browser with an empty profile."""
    browsers: list[subprocess.Popen[bytes]] = []
    with serve(shop.app) as url:

        def open_page(name: str) -> None:
            address = f"{url.replace('127.0.0.1', 'localhost')}/shop/{name}"
            argv = [str(CHROMIUM), *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", address]
            with (tmp_path / "chromium.log").open("wb") as log:
                browsers.append(subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True))

        yield open_page
        for browser in browsers:
            os.killpg(browser.pid, signal.SIGKILL)
            browser.wait()


def test_views_clicks_and_calls_arrive_whole_and_leave_the_outbox(shop: Shop, visit: Callable[[str], None]) -> None:
    shop.pages["start"] = """
      <script>(window.milepost ||= {q: []}).q.push(['search', {category: 'oil'}]);</script>
      <div data-milepost-item-id="i7" data-milepost-price="12.50" data-milepost-category="near">
        <button id="buy" data-milepost-event="add_to_cart" data-milepost-quantity="2"><b id="inner">buy</b></button>
      </div>
      <script async src="BEACON"></script>
      <script>
        when(function () { return window.milepost.version; }, function () {
          document.getElementById('inner').click();
          milepost.track('purchase', {order_id: 77, price: 5, nested: {a: 1}, item_name: 'x'.repeat(5000)});
          milepost.track('no such type');
          when(function () { return !outbox().length; }, function () { report('empty', true); });
        });
      </script>"""
    visit("start?token=secret")
    shop.until(lambda: shop.reports.get("empty"))
    (view,), (search,) = shop.events("page_view"), shop.events("search")
    (cart,), (purchase,) = shop.events("add_to_cart"), shop.events("purchase")
    assert view["page"].endswith("/shop/start")
    assert view["user_type"] == "new"
    assert search["category"] == "oil"
    assert {key: cart[key] for key in ("item_id", "price", "category", "quantity")} == {
        "item_id": "i7",
        "price": 12.5,
        "category": "near",
        "quantity": 2,
    }
    assert (purchase["order_id"], len(purchase["item_name"]), "nested" in purchase) == ("77", 2048, False)
    assert len({event["session_id"] for event in shop.events()}) == 1
    assert len({event["user_id"] for event in shop.events()}) == 1


def test_an_event_waits_in_the_outbox_until_its_receipt_and_counts_once(
    shop: Shop, visit: Callable[[str], None]
) -> None:
    """Page one cannot deliver anything, not even by the beacon as it goes; page two delivers its events."""
    shop.writer.mode = "is full"
    shop.pages["one"] = """<script async src="BEACON"></script><script>
      when(function () { return window.milepost; }, function () {
        for (var i = 0; i < 45; i++) milepost.track('click', {item_id: 'i' + i});
        setTimeout(function () { report('waiting', outbox().length); location = '/shop/two'; }, 300);
      });</script>"""
    shop.pages["two"] = """<script async src="BEACON"></script><script>
      when(function () { return window.milepost && !outbox().length; }, function () { report('empty', true); });
      </script>"""

    def recover() -> None:
        shop.writer.mode = "commits"

    shop.on_page["two"] = recover
    visit("one")
    shop.until(lambda: shop.reports.get("empty"))
    assert shop.reports["waiting"] == 46
    assert sorted(event["item_id"] for event in shop.events("click")) == sorted(f"i{n}" for n in range(45))
    assert len(shop.events("page_view")) == 2


def test_a_page_that_goes_at_once_sends_what_it_holds(shop: Shop, visit: Callable[[str], None]) -> None:
    """No page of the shop follows on which the outbox could be delivered: keepalive or the beacon did it."""
    shop.pages["going"] = """<script async src="BEACON"></script><script>
      when(function () { return window.milepost; }, function () {
        milepost.track('click', {item_id: 'a'}); milepost.track('click', {item_id: 'b'}); location = 'about:blank';
      });</script>"""
    visit("going")
    shop.until(lambda: {event["item_id"] for event in shop.events("click")} == {"a", "b"})


def test_a_shopper_who_opted_out_is_nobody_and_nothing_is_stored(shop: Shop, visit: Callable[[str], None]) -> None:
    shop.pages["quiet"] = """<script async data-no-cookies src="BEACON"></script><script>
      when(function () { return window.milepost; }, function () {
        milepost.track('view');
        setTimeout(function () { report('stored', Object.keys(localStorage).concat(document.cookie || [])); }, 300);
      });</script>"""
    visit("quiet")
    shop.until(lambda: "stored" in shop.reports and len(shop.events()) == 2)
    assert shop.reports["stored"] == []
    assert not any({"user_id", "session_id", "user_type"} & event.keys() for event in shop.events())


def test_where_storage_is_blocked_events_still_arrive_and_the_page_never_sees_an_error(
    shop: Shop, visit: Callable[[str], None]
) -> None:
    shop.pages["frame"] = """<script async data-no-page-view src="BEACON"></script><script>
      when(function () { return window.milepost; }, function () {
        milepost.track('view', {item_id: 'framed'}); milepost.track(); milepost.track('view', null); milepost.q.push(3);
      });</script>"""
    shop.pages["outer"] = '<iframe sandbox="allow-scripts" src="/shop/frame"></iframe>'
    visit("outer")
    shop.until(lambda: any(event.get("item_id") == "framed" for event in shop.events("view")))
