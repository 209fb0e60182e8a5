"""What maps show beside trucks: zones, streets from elsewhere, a plan and the way that was driven; faults in words."""

import base64
import http.server
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from commerce.registers.documents import KINDS
from commerce.registers.register import Register
from commerce.routes.plans import Plans
from commerce.storage.database import open_database
from console import openapi
from console.settings import ConsoleSettings
from contract import timestamps
from tests.collector.stores_on_disk import Collector
from tests.console.conftest import serving
from tests.contract.examples import RECEIVED_MS

AXE = Path(__file__).with_name("axe")
CHROMIUM = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
DEPOT = "Bogenhausen (48.18, 11.64)"
SQUARE = [[13.3, 52.4], [13.5, 52.4], [13.5, 52.6], [13.3, 52.6], [13.3, 52.4]]
ZONES = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "properties": {"name": "Depot <b>", "speed_limit_kmh": 30},
            "geometry": {"type": "Polygon", "coordinates": [SQUARE]},
        }
    ],
}
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


def plan_of_the_hour() -> dict[str, Any]:
    """One truck, two stops near where the samples are."""
    stops = [
        {
            "stop_no": number,
            "order_id": f"A-{number}",
            "latitude": 52.5 + number / 100,
            "longitude": 13.41,
            "arrive_at": timestamps.from_ms(RECEIVED_MS - 3_600_000 + number * 300_000),
            "leave_at": timestamps.from_ms(RECEIVED_MS - 3_600_000 + number * 300_000 + 60_000),
        }
        for number in (1, 2)
    ]
    depot = {"latitude": 52.49, "longitude": 13.4}
    return {"depot": depot, "trucks": [{"truck_id": "T1", "km": 12.5, "hours": 1.0, "stops": stops}], "km": 12.5}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """A plan that is kept and a truck of the register, as ConsoleSources takes them."""
    database = open_database(f"sqlite:///{tmp_path / 'shop.db'}")
    plans, vehicles = Plans(database), Register(database, KINDS["vehicle"])
    plans.save(plan_of_the_hour(), made_ms=RECEIVED_MS - 7_200_000)
    depot = {"depot_latitude": 48.18, "depot_longitude": 11.64}
    known = {"truck_id": "T1", "plate": "M-MP 1001", "group": "north", "driver_id": "driver-001", **depot}
    for each in (known, {"truck_id": "T2", "depot_latitude": 53.55}):
        vehicles.put(KINDS["vehicle"].read(each), received_ms=RECEIVED_MS)
    yield {"plans": plans.all, "plan": plans.compared, "vehicles": vehicles.all_current}
    database.close()


@pytest.mark.usefixtures("collector")
def test_zones_and_plans_are_told_and_plans_to_operators_alone(tmp_path: Path, shop: dict[str, Any]) -> None:
    (tmp_path / "zones.geojson").write_text(json.dumps(ZONES))
    key = "a-read-key-of-24-letters-or-more"
    with serving(tmp_path, ConsoleSettings(read_keys={"board": key}), **shop) as url:
        viewer = {"authorization": f"Bearer {key}", "x-forwarded-for": "203.0.113.9"}
        known = httpx.get(f"{url}/api/v1/map", headers=viewer, timeout=60).json()
        assert (known["streets"], [zone["name"] for zone in known["zones"]]) == (None, ["Depot <b>"])
        assert known["zones"][0]["rings"] == [SQUARE]
        vehicles = httpx.get(f"{url}/api/v1/vehicles", headers=viewer, timeout=60).json()
        assert vehicles == [
            {
                "truck_id": "T1",
                "plate": "M-MP 1001",
                "name": None,
                "group": "north",
                "depot": "Bogenhausen (48.18, 11.64)",
            },
            {"truck_id": "T2", "plate": None, "name": None, "group": None, "depot": None},
        ]
        [row] = httpx.get(f"{url}/api/v1/plans", timeout=60).json()
        answer = httpx.get(f"{url}/api/v1/plans/{row['day']}", timeout=60).json()
        operation = openapi.document()["paths"]["/api/v1/plans/{plan_id}"]["get"]
        jsonschema.validate(answer, operation["responses"]["200"]["content"]["application/json"]["schema"])
        assert [stop["order_id"] for stop in answer["trucks"][0]["stops"]] == ["A-1", "A-2"]
        for path in ("/plans", f"/plans/{row['plan_id']}"):
            assert httpx.get(f"{url}/api/v1{path}", headers=viewer, timeout=60).status_code == 403


def test_fault_codes_in_words(url: str) -> None:
    answer = httpx.get(f"{url}/api/v1/fault-texts?codes=110/0,5246/31", timeout=60)
    assert answer.json() == {
        "110/0": "engine coolant temperature: far too high",
        "5246/31": "exhaust fluid, engine is being limited: present",
    }
    assert httpx.get(f"{url}/api/v1/fault-texts?codes=110", timeout=60).status_code == 422
    [alert] = [
        each for each in httpx.get(f"{url}/api/v1/alerts", timeout=60).json()["alerts"] if each["rule"] == "fault_code"
    ][:1]
    assert alert["evidence"] == "fault 100/1, engine oil pressure: far too low"


@pytest.mark.parametrize(
    "wrong", ["javascript:alert(1)", "https://a.example/{z} 'unsafe-eval'", "https://a.example/;x"]
)
def test_a_source_of_streets_is_an_address_and_nothing_else(wrong: str) -> None:
    with pytest.raises(ValueError, match="streets"):
        ConsoleSettings(streets=wrong)


@pytest.mark.usefixtures("collector")
def test_the_policy_lets_the_page_ask_for_streets_only_where_they_are_set(tmp_path: Path) -> None:
    with serving(tmp_path, ConsoleSettings()) as url:
        assert "example" not in httpx.get(url, timeout=60).headers["content-security-policy"]
    settings = ConsoleSettings(
        streets="https://maps.example.org/style.json", streets_sources=("https://tiles.example.org",)
    )
    with serving(tmp_path, settings) as url:
        policy = httpx.get(url, timeout=60).headers["content-security-policy"]
        both = "https://maps.example.org https://tiles.example.org;"
        assert f"connect-src 'self' {both}" in policy
        assert f"img-src 'self' data: blob: {both}" in policy
        assert "script-src 'self';" in policy


class Tiles(http.server.BaseHTTPRequestHandler):
    """Another origin, with a style and its tiles."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        own = f"http://127.0.0.1:{self.server.server_address[1]}"  # type: ignore[attr-defined]
        sources = {"base": {"type": "raster", "tiles": [f"{own}/of-a-style/{{z}}/{{x}}/{{y}}.png"], "tileSize": 256}}
        layers = [{"id": "base", "type": "raster", "source": "base"}]
        is_style = self.path == "/style.json"
        style = json.dumps({"version": 8, "sources": sources, "layers": layers}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json" if is_style else "image/png")
        self.send_header("access-control-allow-origin", "*")
        self.end_headers()
        self.wfile.write(style if is_style else PIXEL)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def tiles() -> Iterator[tuple[str, list[str]]]:
    """Its address, and what it was asked."""
    asked: list[str] = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Ours", (Tiles,), {"asked": asked}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    thread.join(60)
    server.server_close()


@pytest.mark.prove
@pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed: make test installs it")
@pytest.mark.parametrize("path", ["/style.json", "/raster/{z}/{x}/{y}.png"])
def test_streets_zones_plan_and_way_are_drawn(
    path: str, collector: Collector, tmp_path: Path, shop: dict[str, Any], tiles: tuple[str, list[str]]
) -> None:
    from playwright.sync_api import sync_playwright

    (tmp_path / "zones.geojson").write_text(json.dumps(ZONES))
    other, asked = tiles
    complaints: list[str] = []
    with serving(tmp_path, ConsoleSettings(streets=other + path), **shop) as url, sync_playwright() as run:
        browser = run.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        page.locator(".zone", has_text="Depot <b>, 30 km/h").wait_for(timeout=60_000)
        page.wait_for_timeout(3_000)
        assert any(each.endswith(".png") for each in asked)
        page.get_by_label("Group").select_option("north")
        page.get_by_text("1 trucks").wait_for(timeout=60_000)
        page.get_by_label("Depot").select_option(DEPOT)
        page.get_by_label("Group").select_option("")
        page.get_by_text("1 trucks").wait_for(timeout=60_000)
        page.get_by_label("Find a truck").fill("mp 1001")
        page.get_by_role("link", name="T1 M-MP 1001").wait_for(timeout=60_000)
        page.goto(f"{url}/orders")
        page.get_by_text("Dashed: the order of stops").wait_for(timeout=60_000)
        page.locator(".stop", has_text="2").wait_for(timeout=60_000)
        assert page.get_by_text("nothing was received of it").count() == 0
        assert page.get_by_role("row").filter(has_text="A-1").count() == 1
        page.goto(f"{url}/truck/NOBODY")
        page.get_by_text("milepost provision truck add NOBODY").wait_for(timeout=60_000)
        page.goto(f"{url}/truck/T1")
        page.get_by_text("engine oil pressure: far too low").first.wait_for(timeout=60_000)
        found = []
        page = browser.new_context(bypass_csp=True).new_page()  # only so that axe may be put into the page
        for place, text in (
            ("/", "Depot <b>, 30 km/h"),
            ("/orders", "Dashed: the order"),
            ("/truck/T1", "far too low"),
        ):
            page.goto(url + place)
            page.get_by_text(text).first.wait_for(timeout=60_000)
            if place == "/":
                page.get_by_text("Edit zones").click()
            page.evaluate((AXE / "axe.min.js").read_text(encoding="utf-8"))
            found += [
                (place, each["id"], each["nodes"][0]["html"][:160])
                for each in page.evaluate("axe.run()")["violations"]
                if each["impact"] in ("serious", "critical")
            ]
        browser.close()
    assert found == []
    assert [each for each in complaints if "404" not in each] == []  # of the truck that is none
