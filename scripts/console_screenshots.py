"""Pictures of the console, from a demo of its own: `python -m scripts.console_screenshots [FOLDER [SECONDS]]`.

`milepost up` runs for so many seconds (90) with simulated trucks and shoppers, whose day passes in a minute, and with a
zone; then a tour is planned of what one truck brought that day, and each page is photographed by Chromium into FOLDER
(docs/images) as NAME-WIDTH-SCHEME.png.
"""

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page, sync_playwright

from contract import timestamps
from scripts.dashboard_screenshots import CHROMIUM, FLAGS
from simulator.routes import all_routes

PAGES = {
    "fleet": "/",
    "truck": "/truck/TRUCK-001",
    "shop": "/shop",
    "orders": "/orders",
    "pipeline": "/pipeline",
    "alerts": "/alerts",
}
VIEWS = (("light", 1400, 900), ("dark", 390, 844))


def main() -> None:
    """See the module."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "docs" / "images"
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 90.0
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data:
        options = ["--trucks", "8", "--shoppers", "4", "--speedup", "1440", "--port", "0", "--data-dir", data]
        command = [sys.executable, "-P", "-m", "milepost", "up", *options]
        (Path(data) / "zones.geojson").write_text(json.dumps(depot_zone()))
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            ready = Path(data) / "up.json"
            while not ready.exists():
                if process.poll() is not None:
                    raise SystemExit("milepost up ended: run it by itself to see why")
                time.sleep(0.2)
            time.sleep(seconds)
            url = json.loads(ready.read_text())["http"]
            plan_tour(url, Path(data))
            photograph(url, folder)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def depot() -> tuple[float, float]:
    """Latitude and longitude."""
    latitude, longitude, _ = all_routes()[0].points[0]
    return latitude, longitude


def depot_zone() -> dict[str, Any]:
    """A square around the depot, as zones.geojson has it."""
    latitude, longitude = depot()
    corners = [(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]
    ring = [[longitude + 0.012 * x, latitude + 0.008 * y] for x, y in corners]
    properties = {"name": "depot", "speed_limit_kmh": 30}
    geometry = {"type": "Polygon", "coordinates": [ring]}
    return {
        "type": "FeatureCollection",
        "features": [{"type": "Feature", "properties": properties, "geometry": geometry}],
    }


def plan_tour(url: str, data: Path) -> None:
    """Plan and keep a tour over what one truck delivered on its busiest day."""
    brought = defaultdict(list)
    for order in httpx.get(f"{url}/api/v1/orders", timeout=60).json():
        if order["state"] == "delivered" and order["shipping"]:
            brought[order["truck_id"], order["delivered_at"][:10]].append(order)
    if not brought:
        return
    (truck_id, _), orders = max(brought.items(), key=lambda pair: len(pair[1]))
    stops = [{"order_id": each["order_id"], **_place(each["shipping"])} for each in orders]
    begin = timestamps.to_ms(min(each["delivered_at"] for each in orders)) - 1_800_000
    hours = {"start": timestamps.from_ms(begin), "end": timestamps.from_ms(begin + 43_200_000)}
    latitude, longitude = depot()
    home = {"latitude": latitude, "longitude": longitude}
    file = data / "tour.json"
    file.write_text(json.dumps({"depot": home, "stops": stops, "trucks": [{"truck_id": truck_id, **hours}]}))
    command = [sys.executable, "-P", "-m", "milepost", "routes", "plan", str(file), "--save", "--data-dir", str(data)]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=False)


def _place(shipping: dict[str, Any]) -> dict[str, float]:
    return {name: shipping[name] for name in ("latitude", "longitude")}


def photograph(url: str, folder: Path) -> None:
    """Each page, wide and light, narrow and dark."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for scheme, width, height in VIEWS:
            context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": height})
            page = context.new_page()
            for title, path in PAGES.items():
                shoot(page, url + path, folder / f"{title}-{width}-{scheme}.png")
            context.close()
        browser.close()


def shoot(page: Page, url: str, file: Path) -> None:
    """One picture, when the page has its heading and its map."""
    page.goto(url)
    page.locator("h1").first.wait_for()
    if url.endswith("/orders"):
        page.locator(".stop").first.wait_for(timeout=60_000)  # of the planned tour
    if page.locator(".map").count():
        page.locator(".place").first.wait_for(timeout=60_000)
        page.wait_for_timeout(1_500)
        page.locator(".map[data-drawn]").wait_for(timeout=60_000)  # software rendering draws the land tile by tile
    page.wait_for_timeout(1_500)
    page.screenshot(path=str(file))


if __name__ == "__main__":
    main()
