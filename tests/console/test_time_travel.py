"""Time travel: at any past instant, and as it was known at any other, the pages show what the history command says."""

import json
import random
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from console.settings import ConsoleSettings
from contract import timestamps
from milepost import app
from tests.collector.stores_on_disk import Collector
from tests.console.conftest import serving
from tests.console.records import BRAKES, placed
from tests.contract.examples import RECEIVED_MS, put

CHROMIUM = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
MINUTE_MS = 60_000
BEGAN_MS = RECEIVED_MS - 60 * MINUTE_MS
TRUCKS = ("T1", "T2")
INSTANTS = 50


def worn(minute: int, truck_id: str) -> dict[str, Any]:
    """Its brakes change every seven minutes, so that there are versions to tell apart."""
    return put(
        placed(minute, truck_id=truck_id), BRAKES, f"{'Needs Service' if minute // 7 % 2 else 'Good'} {minute // 7}"
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An hour of two trucks, of which a third came late, by up to two hours and in any order."""
    made = tmp_path_factory.mktemp("travel")
    chance = random.Random(3)
    arrivals = []
    for truck_id in TRUCKS:
        for minute in range(50):
            late = chance.choice([0, 0, chance.randrange(1, 120)])
            arrivals.append((BEGAN_MS + (minute + late) * MINUTE_MS + 700, worn(minute, truck_id)))
    collector = Collector(made / "milepost.db")
    for received_ms, record in sorted(arrivals, key=lambda each: each[0]):
        collector.take(record, received_ms=received_ms)
    collector.close()
    return made


@pytest.fixture
def url(folder: Path) -> Iterator[str]:
    with serving(folder, ConsoleSettings()) as address:
        yield address


def instants(seed: int, many: int) -> Iterator[tuple[str, str, str]]:
    """(truck, at, known at), any of the two instants before the other."""
    chance = random.Random(seed)
    for _ in range(many):
        at_ms, known_ms = (BEGAN_MS + chance.randrange(-5 * MINUTE_MS, most * MINUTE_MS) for most in (70, 180))
        yield chance.choice(TRUCKS), timestamps.from_ms(at_ms), timestamps.from_ms(known_ms)


def history(folder: Path, truck_id: str, at: str, known_at: str | None) -> list[dict[str, Any]]:
    """What `milepost history` prints."""
    known = ["--known-at", known_at] if known_at else []
    answer = CliRunner().invoke(app, ["history", truck_id, "--at", at, *known, "--json", "--data-dir", str(folder)])
    assert answer.exit_code == 0, answer.output
    found = json.loads(answer.stdout)
    return found if isinstance(found, list) else [found]


def test_the_fleet_at_fifty_instants_is_what_history_says_at_them_as_known_then_and_as_known_now(
    url: str, folder: Path
) -> None:
    different = 0
    for truck_id, at, known_at in instants(5, INSTANTS):
        seen = []
        for known in (known_at, None):
            asked = {"at": at, **({"known_at": known} if known else {})}
            rows = httpx.get(f"{url}/api/v1/fleet", params=asked, timeout=30).json()["trucks"]
            shown = [row for row in rows if row["truck_id"] == truck_id]
            said = history(folder, truck_id, at, known)
            assert len(shown) == len(said), (truck_id, at, known)
            for row, version in zip(shown, said, strict=True):
                brakes = version["sample"]["vehicle_health_and_maintenance"]["brake_status"]
                assert row["attention"] == (
                    f"brake: {brakes}" if "Needs" in brakes else "fault 100/1, engine oil pressure: far too low"
                )
                assert version["effective_start_date"] <= row["sampled_at"] <= at
                assert row["received_at"] <= (known or "9999")
            seen.append(shown)
        different += seen[0] != seen[1]
    assert different > INSTANTS // 10, "what came late must make a difference, else this shows nothing"


@pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed: make test installs it")
@pytest.mark.parametrize("many", [6, pytest.param(INSTANTS, marks=pytest.mark.prove)])
def test_the_trucks_page_marks_the_version_that_history_says_held(url: str, folder: Path, many: int) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        for truck_id, at, known_at in instants(9, many):
            page.goto(f"{url}/truck/{truck_id}?at={at}&known_at={known_at}")
            for heading, known in (("As known at", known_at), ("As known now", None)):
                card = page.locator(".card").filter(has=page.get_by_role("heading", name=heading))
                card.wait_for(timeout=60_000)
                held = card.locator("tr[aria-current]")
                shown = [
                    (
                        row.locator("time").first.get_attribute("datetime"),
                        row.locator("[data-name=brakes]").inner_text(),
                    )
                    for row in held.all()
                ]
                said = [
                    (each["effective_start_date"], each["sample"]["vehicle_health_and_maintenance"]["brake_status"])
                    for each in history(folder, truck_id, at, known)
                ]
                assert shown == said, (truck_id, at, known)
        browser.close()


@pytest.mark.prove
@pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed: make test installs it")
def test_the_fleet_pages_controls_lead_to_what_history_says_and_back_to_now(url: str, folder: Path) -> None:
    """The field, the box "as known then", the slider and the button, each as a person uses it."""
    from playwright.sync_api import expect, sync_playwright

    truck_id, at, then, now = next(
        (truck_id, at, then, now)
        for truck_id, moment, _ in instants(5, INSTANTS)
        for at in [moment[:19] + ".000Z"]  # the field has whole seconds
        for then, now in [(history(folder, truck_id, at, at), history(folder, truck_id, at, None))]
        if then and now and then[0]["sample"] != now[0]["sample"]
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(timezone_id="Asia/Tokyo")
        page.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)
        page.goto(url)
        line = page.get_by_role("link", name=truck_id)
        live = line.inner_text()
        field, box = page.get_by_label("Any past instant", exact=True), page.get_by_label("as known then")
        expect(box).to_be_disabled()
        field.fill(timestamps.from_ms(timestamps.to_ms(at) + 9 * 60 * MINUTE_MS)[:19])  # as a clock in Tokyo shows it
        expect(line).to_contain_text(brakes(now))
        assert page.url == f"{url}/?at={at}"
        box.check()
        expect(line).to_contain_text(brakes(then))
        assert page.url == f"{url}/?at={at}&known_at={at}"
        page.reload()  # the address is all that the page needs
        expect(line).to_contain_text(brakes(then))
        expect(box).to_be_checked()
        page.get_by_role("button", name="Now").click()
        expect(line).to_have_text(live.replace("\n", ""), use_inner_text=False)
        assert page.url == f"{url}/"
        slider = page.get_by_label("Past instant of the last day")
        slider.focus()
        page.keyboard.press("Home")  # a day ago
        expect(line).to_have_attribute("href", re.compile(r"\?at="))
        at = (line.get_attribute("href") or "").partition("?at=")[2].partition("&")[0]
        assert abs(timestamps.to_ms(at) - (time.time() - 86_400) * 1000) < 600_000
        assert page.url == f"{url}/?at={at}&known_at={at}"  # the box is still checked
        browser.close()


def brakes(found: list[dict[str, Any]]) -> str:
    """How the list says what a version has."""
    status = found[0]["sample"]["vehicle_health_and_maintenance"]["brake_status"]
    return f"brake: {status}" if "Needs" in status else "fault 100/1, engine oil pressure: far too low"
