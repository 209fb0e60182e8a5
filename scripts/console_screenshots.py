"""Pictures of the console, from a demo of its own: `python -m scripts.console_screenshots [FOLDER [SECONDS]]`.

`milepost up` runs for so many seconds (90) with simulated trucks and shoppers, whose day passes in a minute, then each
page is photographed by Chromium into FOLDER (docs/images) as NAME-WIDTH-SCHEME.png.
"""

import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from scripts.dashboard_screenshots import CHROMIUM, FLAGS

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
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            ready = Path(data) / "up.json"
            while not ready.exists():
                if process.poll() is not None:
                    raise SystemExit("milepost up ended: run it by itself to see why")
                time.sleep(0.2)
            time.sleep(seconds)
            photograph(json.loads(ready.read_text())["http"], folder)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


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
    if page.locator(".map").count():
        page.locator(".place").first.wait_for(timeout=60_000)
        page.wait_for_timeout(6_000)  # software rendering draws the land tile by tile
    page.wait_for_timeout(1_500)
    page.screenshot(path=str(file))


if __name__ == "__main__":
    main()
