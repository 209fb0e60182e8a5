"""Zones that an operator edits: by the API, with what else stands in the file, and on the Fleet page."""

import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from console.settings import ConsoleSettings
from contract.fleet import read_zones
from tests.console.conftest import serving
from tests.console.test_maps import FLAGS, SQUARE, ZONES

CHROMIUM = shutil.which("chromium")
OWN = {"x-milepost": "console"}
KEY = "a-read-key-of-24-letters-or-more"
CORNERS = [[13.0, 52.0], [13.2, 52.0], [13.1, 52.2]]


def test_a_zone_is_made_changed_and_deleted_and_what_else_stands_there_stays(url: str, tmp_path: Path) -> None:
    path = tmp_path / "zones.geojson"
    mine: dict[str, Any] = {**ZONES, "name": "ours"}
    mine["features"][0]["properties"]["colour"] = "red"
    path.write_text(json.dumps(mine))
    path.chmod(0o640)
    place = f"{url}/api/v1/zones"
    made = httpx.put(f"{place}/yard%2Feast", json={"corners": CORNERS}, headers=OWN, timeout=60)
    assert (made.status_code, made.text) == (204, "")
    changed = {"name": "Depot", "speed_limit_kmh": None}
    assert httpx.put(f"{place}/Depot%20%3Cb%3E", json=changed, headers=OWN, timeout=60).status_code == 204
    told = httpx.get(f"{url}/api/v1/map", timeout=60).json()
    assert told["zones_editable"] is True
    assert told["zones"] == [
        {"id": "Depot <b>", "name": "Depot", "speed_limit_kmh": None, "rings": [SQUARE]},
        {"id": "yard/east", "name": "yard/east", "speed_limit_kmh": None, "rings": [[*CORNERS, CORNERS[0]]]},
    ]
    document = json.loads(path.read_text())
    assert (document["name"], document["features"][0]["properties"]["colour"]) == ("ours", "red")
    assert path.stat().st_mode & 0o777 == 0o640
    assert httpx.delete(f"{place}/yard%2Feast", headers=OWN, timeout=60).status_code == 204
    assert httpx.delete(f"{place}/yard%2Feast", headers=OWN, timeout=60).status_code == 404
    assert [zone.id for zone in read_zones(path)] == ["Depot <b>"]


@pytest.mark.usefixtures("collector")
def test_only_operators_edit_zones_and_only_from_our_own_page(tmp_path: Path) -> None:
    with serving(tmp_path, ConsoleSettings(read_keys={"board": KEY})) as url:
        place = f"{url}/api/v1/zones/yard"
        viewer = {**OWN, "authorization": f"Bearer {KEY}", "x-forwarded-for": "203.0.113.9"}
        stranger = {**OWN, "x-forwarded-for": "203.0.113.9"}
        for headers, status in ((viewer, 403), ({}, 403), (stranger, 401)):
            answers = (
                httpx.put(place, json={"corners": CORNERS}, headers=headers, timeout=60),
                httpx.delete(place, headers=headers, timeout=60),
            )
            assert [answer.status_code for answer in answers] == [status, status]
    assert not (tmp_path / "zones.geojson").exists()


def test_what_is_wrong_is_named(url: str, tmp_path: Path) -> None:
    good = {"corners": CORNERS}
    wrong: list[tuple[str, Any, str | None]] = [
        ("a", {}, "corners"),
        ("a", {"corners": CORNERS[:2]}, "corners"),
        ("a", {"corners": [CORNERS[0]] * 3}, "corners"),
        ("a", {"corners": CORNERS * 400}, "corners"),
        ("a", {"corners": [*CORNERS, [13.0, 91.0]]}, "corners.3"),
        ("a", {"corners": [*CORNERS, [181.0, 52.0]]}, "corners.3"),
        ("a", {"corners": [*CORNERS, [13.0, "52"]]}, "corners.3"),
        ("a", {"corners": [*CORNERS, [13.0, 10**350]]}, "corners.3"),
        ("a", {**good, "speed_limit_kmh": 0}, "speed_limit_kmh"),
        ("a", {**good, "speed_limit_kmh": True}, "speed_limit_kmh"),
        ("a", {**good, "name": ""}, "name"),
        ("a", {**good, "colour": "red"}, "colour"),
        ("a" * 101, good, "zone_id"),
        ("a%00", good, "zone_id"),
        ("a", [], None),
    ]
    with httpx.Client(timeout=60, headers=OWN) as client:
        for zone_id, said, field in wrong:
            answer = client.put(f"{url}/api/v1/zones/{zone_id}", json=said)
            assert (answer.status_code, answer.json()["field"]) == (422, field), said
    assert not (tmp_path / "zones.geojson").exists()


def test_a_body_without_end_and_a_file_of_nobody_s_making_are_refused(url: str, tmp_path: Path) -> None:
    place = f"{url}/api/v1/zones/a"
    assert httpx.put(place, content=b" " * 200_000, headers=OWN, timeout=60).status_code == 413
    assert httpx.put(place, content=b"{", headers=OWN, timeout=60).status_code == 422
    (tmp_path / "zones.geojson").write_text("{")
    answer = httpx.put(place, json={"corners": CORNERS}, headers=OWN, timeout=60)
    assert (answer.status_code, "zones.geojson" in answer.json()["error"]) == (409, True)
    assert (tmp_path / "zones.geojson").read_text() == "{"


@pytest.mark.prove
@pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed: make test installs it")
@pytest.mark.parametrize("size", [(1400, 900), (390, 844)])
@pytest.mark.usefixtures("collector")
def test_an_operator_draws_a_zone_with_the_mouse(tmp_path: Path, size: tuple[int, int]) -> None:
    from playwright.sync_api import sync_playwright

    complaints: list[str] = []
    with serving(tmp_path, ConsoleSettings()) as url, sync_playwright() as run:
        browser = run.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": size[0], "height": size[1]})
        page.set_default_timeout(60_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        page.locator('.map[data-drawn="yes"]').wait_for()
        page.get_by_text("Edit zones").click()
        page.get_by_label("Id of the zone").fill("yard")
        page.get_by_label("Speed limit, km/h").fill("20")
        page.get_by_role("button", name="Draw on the map").click()
        box = page.locator(".map canvas").bounding_box()
        assert box
        for right, down in ((0.3, 0.3), (0.6, 0.3), (0.5, 0.5)):
            page.mouse.click(box["x"] + right * box["width"], box["y"] + down * box["height"])
            page.wait_for_timeout(700)  # two clicks soon after each other are a double click
        page.keyboard.press("Enter")
        page.get_by_text("Save keeps it.").wait_for()
        page.screenshot(path=tmp_path / f"drawn-{size[0]}.png")
        page.get_by_role("button", name="Save").click()
        page.locator(".zone", has_text="yard, 20 km/h").wait_for()
        [zone] = read_zones(tmp_path / "zones.geojson")
        assert (zone.id, zone.speed_limit_kmh, len(zone.rings[0])) == ("yard", 20, 4)
        page.get_by_label("Name").fill("Court")
        page.get_by_label("Corners").fill("[13.0, 52.0], [13.2, 52.0], [13.1, 52.2]")
        page.get_by_role("button", name="Save").click()
        page.locator(".zone", has_text="Court, 20 km/h").wait_for()
        assert read_zones(tmp_path / "zones.geojson")[0].contains(52.1, 13.1)
        page.screenshot(path=tmp_path / f"kept-{size[0]}.png")
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Delete").click()
        page.get_by_text("Deleted.").wait_for()
        assert (page.locator(".zone").count(), read_zones(tmp_path / "zones.geojson")) == (0, ())
        browser.close()
    assert complaints == []
