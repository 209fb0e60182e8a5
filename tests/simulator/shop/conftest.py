"""The demo shop in a real Chromium, on another origin than the beacon, whose writer is in memory."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, sync_playwright
from starlette.applications import Starlette
from starlette.types import ASGIApp

from collector.beacon import BeaconSettings, create_app
from contract.click_records import ClickEvent, read_click
from simulator.shop import ShopSite
from tests.collector.beacon.conftest import serve
from tests.collector.beacon.fakes import FakeWriter

CHROMIUM = Path("/usr/bin/chromium")


RECOMMENDATIONS = "**/v1/recommendations*"


def nothing_recommended(route: Route) -> None:
    """What the orders' room would answer; it is not part of this."""
    headers = {"access-control-allow-origin": "*"}
    route.fulfill(body='{"model_version": null, "items": []}', headers=headers, content_type="application/json")


class Visit:
    """A shop that is served, and a browser in it.

    problems: what the pages wrote to the console, and errors that reached them; none is expected.
    """

    def __init__(self, url: str, writer: FakeWriter, context: BrowserContext) -> None:
        self.url, self.writer, self.context = url, writer, context
        self.problems: list[str] = []
        self.page = self.tab()

    def tab(self) -> Page:
        """One more tab of the same browser."""
        page = self.context.new_page()
        page.on("console", lambda message: self.problems.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        return page

    def go(self, path: str = "", page: Page | None = None) -> Page:
        """Open a page of the shop, and wait until it is filled."""
        page = page or self.page
        page.goto(f"{self.url}/{path}")
        page.locator("body[data-ready=yes]").wait_for()
        return page

    def delivered(self, page: Page | None = None) -> None:
        """Wait until the page's beacon waits for no receipt any more."""
        page = page or self.page
        for _ in range(2400):
            if not page.evaluate("window.milepost && milepost.debug ? milepost.debug().waiting : 1"):
                return
            page.wait_for_timeout(25)
        raise AssertionError((page.evaluate("milepost.debug()"), self.problems))

    def events(self, *types: str) -> list[ClickEvent]:
        """What was taken, each event once, in its own time."""
        found = {}
        for item in self.writer.items:
            event = read_click(item.record, received_ms=item.received_ms, seen=item.seen)
            found[event.event_id] = event
        kept = [each for each in found.values() if not types or each.record["event_type"] in types]
        return sorted(kept, key=lambda each: each.timestamp)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip("no /usr/bin/chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Callable[..., Visit]]:
    """Serves a shop and opens a browser with an empty profile in it.

    Options are those of ShopSite; `before` wraps the beacon's application, `settings` are the beacon's own, `script`
    runs in each page before the page's own.
    """
    with ExitStack() as stack:

        def open_shop(
            *,
            before: Callable[[ASGIApp], ASGIApp] | None = None,
            script: str = "",
            settings: Any = None,
            **options: Any,
        ) -> Visit:
            writer = FakeWriter()
            app: ASGIApp = create_app(writer.submit, settings=settings or BeaconSettings())
            beacon = stack.enter_context(serve(before(app) if before else app))
            site = ShopSite(beacon=f"{beacon}/beacon.js", **options)
            url = stack.enter_context(serve(Starlette(routes=site.routes))).replace("127.0.0.1", "localhost")
            context = stack.enter_context(chromium.new_context())
            context.route(RECOMMENDATIONS, nothing_recommended)
            if script:
                context.add_init_script(script)
            return Visit(f"{url}/shop", writer, context)

        yield open_shop
