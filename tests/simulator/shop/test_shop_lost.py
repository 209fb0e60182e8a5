"""Where clicks could be lost: before beacon.js has come, as a page is frozen or left, beside an earlier script."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from collector import queries
from collector.history import TrackingPolicy
from collector.ingest import Ingest
from collector.stores.factory import open_store
from tests.milepost_process import REPOSITORY
from tests.simulator.shop.conftest import Visit
from tests.simulator.shop.test_shop import has_script
from tests.waiting import until

Shop = Callable[..., Visit]
MODULE = REPOSITORY / "collector/beacon/script/bundle/beacon.mjs"
EARLIER = Path(__file__).with_name("earlier_scripts")
"""The first two versions of the script, as they were served."""
EARLY = REPOSITORY / "simulator/shop/static/early.js"


@contextmanager
def before_the_script(shop: Visit, path: str) -> Iterator[Page]:
    """A page that is filled, and whose beacon.js comes at the end of the block."""
    held: list[Any] = []
    shop.page.route("**/beacon.js", lambda route: held.append(route))
    shop.page.goto(f"{shop.url}/{path}", wait_until="commit")
    shop.page.locator("body[data-ready=yes]").wait_for()
    yield shop.page
    until(lambda: held or shop.page.wait_for_timeout(20))
    assert not has_script(shop.page)
    held[0].continue_()
    shop.page.unroute("**/beacon.js")
    until(lambda: has_script(shop.page))


class Background:
    """A tab that Playwright does not know, and so does not keep in view: the browser may freeze it."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._cdp = browser.new_browser_cdp_session()
        context = self._cdp.send("Target.createBrowserContext")["browserContextId"]
        self._target = self._cdp.send("Target.createTarget", {"url": url, "browserContextId": context})["targetId"]
        attached = self._cdp.send("Target.attachToTarget", {"targetId": self._target, "flatten": False})
        self._session = attached["sessionId"]

    def send(self, method: str, **parameters: Any) -> None:
        """Without waiting for the answer, which a frozen tab may not give."""
        message = json.dumps({"id": 1, "method": method, "params": parameters})
        self._cdp.send("Target.sendMessageToTarget", {"sessionId": self._session, "message": message})

    def close(self) -> None:
        self._cdp.send("Target.closeTarget", {"targetId": self._target})


def counted(shop: Visit, tmp_path: Path) -> dict[str, int]:
    """Item → how often it was viewed, by all that was ever delivered to a real store."""
    store = open_store(f"sqlite:///{tmp_path}/store.db")
    Ingest(store, TrackingPolicy.of()).ingest(shop.writer.items)
    found = {row["item_id"]: row["count"] for row in queries.clicks(store, "item") if row["event_type"] == "view"}
    store.close()
    return found


def test_clicks_before_the_script_has_come_are_counted_once(visit: Shop) -> None:
    shop = visit()
    with before_the_script(shop, "item/LAP001") as page:
        page.locator("#add").click()
        page.locator("#add").click()
    page.locator("#add").click()
    shop.delivered()
    added = shop.events("add_to_cart")
    assert [(event.record["item_id"], event.record["quantity"]) for event in added] == [("LAP001", 1)] * 3
    order = [event.record["event_type"] for event in shop.events("page_view", "view", "add_to_cart")]
    assert order == ["page_view", "view", *["add_to_cart"] * 3], "in the order of the funnel"
    with before_the_script(shop, "checkout") as page:
        page.get_by_text("Send me the newsletter").click()  # a label: the browser clicks its box, too
    shop.delivered()
    assert len(shop.events("newsletter")) == 1
    assert shop.problems == []


def test_the_documentation_shows_what_keeps_the_early_clicks_of_the_demo_shop() -> None:
    assert f"<script>\n{EARLY.read_text('utf-8')}</script>" in (REPOSITORY / "docs/clicks.md").read_text("utf-8")


def test_what_a_frozen_page_holds_arrives_although_it_never_runs_again(
    visit: Shop, chromium: Browser, tmp_path: Path
) -> None:
    """It has its last word at the very moment, and no storage: no later page could deliver it."""
    shop = visit(tag={"data-no-cookies": ""})
    tab = Background(chromium, shop.url)
    until(lambda: shop.events("page_view"))
    words = """addEventListener('freeze', () => milepost.track('view', {item_id: 'last'}), true);
      milepost.track('view', {item_id: 'first'});"""
    tab.send("Runtime.evaluate", expression=words)
    tab.send("Page.setWebLifecycleState", state="frozen")
    until(lambda: len(shop.events("view")) == 2)
    tab.close()
    assert counted(shop, tmp_path) == {"first": 1, "last": 1}


def test_more_than_a_page_may_send_as_it_goes_arrives_on_the_next_visit(visit: Shop, tmp_path: Path) -> None:
    """160 KB wait, where browsers take 64 of a page that is left."""
    shop = visit()
    page = shop.go()
    shop.writer.mode = "is full"
    page.evaluate("""() => {
      for (let i = 0; i < 80; i++) milepost.track('view', {item_id: 'i' + i, item_name: 'x'.repeat(2000)});
    }""")
    shop.writer.mode = "commits"
    shop.go("laptops")
    shop.delivered()
    assert counted(shop, tmp_path) == {f"i{number}": 1 for number in range(80)}


def test_an_event_too_large_for_a_page_that_is_left_takes_no_other_with_it(visit: Shop) -> None:
    shop = visit(tag={"data-no-cookies": ""})
    page = shop.go()
    shop.delivered()
    shop.writer.mode = "is full"
    page.evaluate("""() => {
      milepost.track('purchase', {lines: Array.from({length: 40}, () => ({item_name: 'x'.repeat(2000)}))});
      for (let i = 0; i < 30; i++) milepost.track('view', {item_id: 'i' + i});
    }""")
    shop.writer.mode = "commits"
    page.goto("about:blank")
    until(lambda: len(shop.events("view")) == 30)


@pytest.mark.parametrize("version", [pytest.param(1, marks=pytest.mark.prove), 2])
def test_a_browser_with_two_versions_of_the_script_counts_each_event_once(
    visit: Shop, tmp_path: Path, version: int
) -> None:
    """An earlier one in one tab, today's in the other, each beside the other's tag; they share the browser's outbox."""
    shop = visit()
    old = (EARLIER / f"beacon-{version}.js").read_text("utf-8")
    other = shop.tab()
    for page, name in ((shop.page, "beacon.js"), (other, "beacon.js[?]second")):
        page.route(re.compile(f"/{name}$"), lambda route: route.fulfill(body=old, content_type="text/javascript"))
    shop.writer.mode = "is full"
    versions = []
    for page in (shop.go(), shop.go(page=other)):
        versions.append(until(lambda page=page: page.evaluate("window.milepost?.version")))
        page.add_script_tag(url=page.evaluate("document.querySelector('script[src*=beacon]').src + '?second'"))
        assert page.evaluate("milepost.version") == versions[-1]
    assert versions[0] == str(version) < versions[1]
    for number in range(3):
        shop.page.evaluate(f"milepost.track('view', {{item_id: 'old {number}'}})")
        other.evaluate(f"milepost.track('view', {{item_id: 'new {number}'}})")
    shop.page.close()
    shop.writer.mode = "commits"
    shop.page = shop.go("laptops", other)
    shop.delivered()
    expected = {f"{which} {number}": 1 for which in ("old", "new") for number in range(3)}
    assert counted(shop, tmp_path) == expected
    views = Counter(event.record["page"].rpartition("/shop/")[2] for event in shop.events("page_view"))
    assert views == {"": 2, "laptops": 1}


def test_an_earlier_tag_beside_todays_module_counts_each_event_once(visit: Shop, tmp_path: Path) -> None:
    """A browser may keep the script for an hour, and the shop's own bundle is of today: they are one."""
    shop = visit()
    old = (EARLIER / "beacon-2.js").read_text("utf-8")
    shop.page.route("**/beacon.js", lambda route: route.fulfill(body=old, content_type="text/javascript"))
    page = shop.go()
    page.route("**/module.mjs", lambda route: route.fulfill(body=MODULE.read_text(), content_type="text/javascript"))
    until(lambda: page.evaluate("window.milepost?.version") == "2")
    same = """async () => (await import('./module.mjs')).start(
      {endpoint: milepost.debug().endpoint}, [['view', {item_id: 'early'}]]) === milepost"""
    assert page.evaluate(same)
    page.evaluate("""() => {
      const button = document.body.appendChild(document.createElement('button'));
      Object.assign(button.dataset, {milepostEvent: 'view', milepostItemId: 'clicked'});
      button.click();
    }""")
    shop.delivered()
    assert counted(shop, tmp_path) == {"early": 1, "clicked": 1}
    assert len(shop.events("page_view")) == 1


@pytest.mark.parametrize(("tag", "kept"), [("async", 0), ("", 1)])
def test_a_click_that_leaves_before_the_script_is_lost_with_async_and_cannot_be_made_without(
    visit: Shop, tmp_path: Path, tag: str, kept: int
) -> None:
    """What keeps early clicks stores nothing; without `async` there is nothing to click before the script has run."""
    shop = visit()
    source = shop.go().evaluate("document.querySelector('script[src*=beacon]').src")
    link = '<a href="/shop/laptops" data-milepost-event="view" data-milepost-item-id="left">Laptops</a>'
    endpoint = source.replace("/beacon.js", "/v1/clicks")
    script = f'<script {tag} src="/held.js" data-endpoint="{endpoint}"></script>'
    head = f"<script>{EARLY.read_text('utf-8')}</script>{script}"
    html = f"<!doctype html><head>{head}</head><body>{link}</body>"
    held: list[Any] = []
    shop.page.route("**/leaving", lambda route: route.fulfill(body=html, content_type="text/html"))
    shop.page.route("**/held.js", lambda route: held.append(route))
    shop.page.goto(f"{shop.url}/leaving", wait_until="commit")
    until(lambda: held or shop.page.wait_for_timeout(20))
    if not tag:
        assert shop.page.locator("a").count() == 0
        held[0].fulfill(body=MODULE.with_suffix(".js").read_text("utf-8"), content_type="text/javascript")
    shop.page.locator("a").click()
    shop.page.wait_for_url("**/shop/laptops")
    shop.delivered()
    assert len(shop.events("view")) == kept
