"""The console: its read API, who may see it, and the page in a real browser."""

import hashlib
import json
import random
import shutil
from contextlib import nullcontext

import httpx
import pytest

from collector import queries
from console import pages
from console.fleet_view import FleetView
from contract import timestamps
from tests.collector.stores_on_disk import Collector
from tests.console.records import placed
from tests.contract.examples import RECEIVED_MS

CHROMIUM = shutil.which("chromium")


def test_the_fleet_now_and_then(url: str) -> None:
    now = {row["truck_id"]: row for row in httpx.get(f"{url}/api/v1/fleet", timeout=60).json()["trucks"]}
    assert (now["T1"]["state"], now["T1"]["latitude"]) == ("silent", 52.509)
    assert now["T2"]["attention"].startswith("brake: worn")
    then = timestamps.from_ms(RECEIVED_MS - 3_600_000 + 4 * 60_000)
    past = {
        row["truck_id"]: row
        for row in httpx.get(f"{url}/api/v1/fleet", params={"at": then}, timeout=60).json()["trucks"]
    }
    assert (past["T1"]["sampled_at"], past["T1"]["latitude"]) == (then, 52.504)
    assert past["T1"]["state"] != "silent"
    early = timestamps.from_ms(RECEIVED_MS - 3_700_000)
    assert httpx.get(f"{url}/api/v1/fleet", params={"at": early}, timeout=60).json()["trucks"] == []


def test_any_past_state_is_what_the_history_command_says(url: str, collector: Collector) -> None:
    """Fifty instants, each with a time of knowing: the page's answer is `milepost history --at --known-at`."""
    chance = random.Random(11)
    with httpx.Client(timeout=60) as client:
        for _ in range(50):
            at = timestamps.from_ms(RECEIVED_MS - 3_700_000 + chance.randrange(900_000))
            known_at = timestamps.from_ms(RECEIVED_MS + chance.randrange(-1, 2))
            truck_id = chance.choice(["T1", "T2"])
            path = f"{url}/api/v1/trucks/{truck_id}/history"
            shown = client.get(path, params={"at": at, "known_at": known_at}).json()["versions"]
            assert shown == queries.history_known_at(collector.store, truck_id, known_at, at)[0]
            assert client.get(path, params={"at": at}).json()["versions"] == queries.history(
                collector.store, truck_id, at
            )


def test_what_is_known_already_is_not_sent_again(url: str) -> None:
    first = httpx.get(f"{url}/api/v1/pipeline", timeout=60)
    again = httpx.get(f"{url}/api/v1/pipeline", headers={"if-none-match": first.headers["etag"]}, timeout=60)
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
    assert first.json()["refused"] == 1


def test_the_fleet_is_not_sent_again_while_nothing_changed(url: str) -> None:
    first = httpx.get(f"{url}/api/v1/fleet", timeout=60)
    again = httpx.get(f"{url}/api/v1/fleet", headers={"if-none-match": first.headers["etag"]}, timeout=60)
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")


def test_changes_loses_no_row_that_was_committed_after_a_poll(collector: Collector) -> None:
    """Received before the poll, committed after it: by time it would be older than what the page asks for."""
    view = FleetView(lambda: nullcontext(collector.store), now_ms=lambda: RECEIVED_MS, every=0)
    cursor = view.since("").cursor
    assert view.since(cursor).rows == []
    collector.take(placed(10))  # its received_at is that of all the others
    changes = view.since(cursor)
    assert ([row["truck_id"] for row in changes.rows], changes.whole) == (["T1"], False)
    assert view.since(changes.cursor).rows == []
    assert view.since("of-another-service").whole


def test_the_view_reads_only_what_is_new_and_gives_what_a_whole_read_gives(collector: Collector) -> None:
    now_ms = RECEIVED_MS
    view = FleetView(lambda: nullcontext(collector.store), now_ms=lambda: now_ms, every=0)
    for step in range(4):
        collector.take(placed(20 - step, truck_id=f"T{step}"), placed(15, truck_id="T9"))  # late ones among them
        now_ms += 100_000
        assert json.loads(view.whole()[1])["trucks"] == queries.fleet(collector.store, now_ms=now_ms)
    assert {row["state"] for row in view.since("").rows} == {"silent"}


@pytest.mark.parametrize(("path", "status"), [("/trucks/T9", 404), ("/fleet?at=noon", 422), ("/nothing", 404)])
def test_what_cannot_be_answered_says_so(url: str, path: str, status: int) -> None:
    assert httpx.get(f"{url}/api/v1{path}", timeout=60).status_code == status


@pytest.mark.parametrize(
    "headers", [{"host": "attacker.example"}, {"x-forwarded-for": "203.0.113.9"}, {"via": "1.1 x"}]
)
@pytest.mark.parametrize("path", ["/", "/api/v1/fleet", "/static/app.js"])
def test_who_comes_through_a_proxy_or_another_name_sees_nothing(url: str, path: str, headers: dict[str, str]) -> None:
    answer = httpx.get(f"{url}{path}", headers=headers, timeout=60)
    assert (answer.status_code, b"T1" in answer.content) == (403, False)


@pytest.mark.parametrize("name", ["../api.py", "..%2f..%2fapi.py", "vendor/../../api.py", "%2e%2e/api.py"])
def test_no_other_file_is_served(url: str, name: str) -> None:
    assert b"import" not in httpx.get(f"{url}/static/{name}", timeout=60).content


def test_what_was_vendored_is_what_npm_gave() -> None:
    said = json.loads((pages.STATIC / "VENDORED.json").read_text())["sha256"]
    found = {
        str(path.relative_to(pages.STATIC)): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in ("vendor", "basemap")
        for path in (pages.STATIC / folder).iterdir()
    }
    assert found == said


@pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed: make test installs it")
def test_every_page_in_a_browser_asks_nobody_else_and_runs_nothing_of_strangers(url: str) -> None:
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page(viewport={"width": 390, "height": 800})
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda request: None if request.url.startswith((url, "blob:", "data:")) else complaints.append(request.url),
        )
        for path, text in {
            "/": "T2",
            "/truck/T2": "Completeness",
            "/shop": "onerror",
            "/orders": "No orders yet",
            "/pipeline": "onerror",
            "/alerts": "onerror",
        }.items():
            page.goto(url + path)
            page.get_by_text(text).first.wait_for(timeout=60_000)
            assert "owned" not in page.title()
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= 390, f"{path} is {wide} pixels wide"
        browser.close()
    assert complaints == []


@pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed: make test installs it")
def test_the_keyboard_alone_reaches_every_page_and_acknowledges_an_alert(url: str) -> None:
    """Each key is pressed when what the one before it led to is there, as a person does."""
    from playwright.sync_api import Locator, expect, sync_playwright

    flags = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page()

        def tab_to(target: Locator) -> None:
            target.wait_for(timeout=60_000)
            for _ in range(40):
                page.keyboard.press("Tab")
                if target.evaluate("(node) => node === document.activeElement"):
                    return
            raise AssertionError(f"Tab does not reach {target}")

        page.goto(url)
        page.get_by_role("link", name="T2").wait_for(timeout=60_000)
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")  # skip to the page
        expect(page.locator("main")).to_be_focused(timeout=60_000)
        page.keyboard.press("Tab")
        expect(page.get_by_label("Find a truck")).to_be_focused(timeout=60_000)
        page.keyboard.type("T2")
        expect(page.get_by_role("link", name="T1")).to_have_count(0, timeout=60_000)
        tab_to(page.get_by_role("link", name="T2"))  # past what else the page has by then
        page.keyboard.press("Enter")
        page.get_by_text("Completeness").wait_for(timeout=60_000)
        assert page.url.endswith("/truck/T2")
        for name in ("Shop", "Orders", "Pipeline", "Alerts"):
            page.evaluate("document.activeElement.blur()")  # from the top, as after a reload
            tab_to(page.get_by_role("navigation").get_by_role("link", name=name))
            page.keyboard.press("Enter")
            page.get_by_role("heading", name=name, exact=True).wait_for(timeout=60_000)
        tab_to(page.get_by_role("button", name="Acknowledge").first)
        page.keyboard.press("Enter")
        page.get_by_text("acknowledged.").wait_for(timeout=60_000)
        browser.close()


@pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed: make test installs it")
def test_the_focus_stays_on_a_truck_while_the_list_is_redrawn(url: str, collector: Collector) -> None:
    """A live list changes every second: whoever goes through it by keyboard would start again each time."""
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page()
        page.goto(url)
        link = page.get_by_role("link", name="T1")
        link.wait_for(timeout=60_000)
        link.focus()
        page.get_by_text("live", exact=True).wait_for(timeout=60_000)
        collector.take(placed(40, truck_id="T1"), placed(40, truck_id="A0"))  # a new one above it, too
        page.get_by_role("link", name="A0").wait_for(timeout=60_000)
        assert page.evaluate("document.activeElement.textContent").startswith("T1")
        browser.close()
