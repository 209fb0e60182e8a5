"""Pictures of the analysts' pages for docs/dashboards.md: `python -m scripts.dashboard_screenshots [FOLDER]`.

Fills an installation through the real doors, serves it, and takes each page in Chromium, 1400 and 390 px wide. Exits 1
where a page asks another machine for anything, or an error stands on it.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from dashboards.panels.views import SHOP_PARTS, STREAMLIT
from tests.dashboards.demo import Demo

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
_READY = "[data-testid=stApp][data-test-script-state=notRunning]"


@contextmanager
def served(folder: Path, *more: str) -> Iterator[str]:
    """`milepost dashboard` over a data folder, at a free port; yields its address.

    Args:
        folder: the data directory.
        more: further arguments of the command.
    """
    command = [sys.executable, "-P", "-m", "milepost", "dashboard", "--port", "0", "--data-dir", str(folder), *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            found = re.search(r"http://\S+(?=/)", process.stdout.readline())
            if not found:
                raise RuntimeError("milepost dashboard did not start")
            yield found[0]
        finally:
            process.terminate()
            process.wait(60)


def address(title: str) -> str:
    """The path of a page, or of a part of it: "Shop: Items"."""
    page, _, part = title.partition(": ")
    path = "" if page == "Overview" else page.lower().replace(" ", "-")
    return f"{path}?part={part}" if part else path


def opened(page: Page, url: str) -> None:
    """The page as it is when Streamlit has drawn it."""
    page.goto(url)
    page.wait_for_selector("h1", timeout=60_000)
    page.wait_for_selector(_READY, timeout=60_000)
    page.wait_for_timeout(700)
    page.wait_for_selector(_READY, timeout=60_000)


WIDTHS = ((1400, 1000), (390, 844))
ALL = (*STREAMLIT, *(f"Shop: {part}" for part in list(SHOP_PARTS)[1:]), "Store now")
"""Every page and every part of one that is not shown at first."""


def take(
    url: str, folder: Path, titles: tuple[str, ...] = ALL, widths: tuple[tuple[int, int], ...] = WIDTHS
) -> list[str]:
    """Take each page; returns what is wrong with them."""
    faults: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for width, height in widths:
            page = browser.new_page(viewport={"width": width, "height": height})
            page.on("request", lambda asked: faults.extend([asked.url] * _foreign(asked.url, url)))
            for title in titles:
                page.set_viewport_size({"width": width, "height": height})
                opened(page, f"{url}/{address(title)}")
                main = page.locator("[data-testid=stMain]")
                if page.locator("[data-testid=stAlertContentError]").count():
                    faults.append(f"{title}: an error is shown")
                if main.evaluate("main => main.scrollWidth > main.clientWidth"):
                    faults.append(f"{title}: wider than {width} px")
                tall = main.evaluate("main => main.scrollHeight")
                page.set_viewport_size({"width": width, "height": min(tall, 4000)})
                page.wait_for_timeout(700)
                name = f"dashboards-{title.lower().replace(': ', '-').replace(' ', '-')}-{width}.png"
                page.screenshot(path=folder / name)
        browser.close()
    return faults


def _foreign(asked: str, url: str) -> bool:
    return not asked.startswith((url, url.replace("http", "ws", 1), "data:", "blob:"))


def main() -> int:
    """Take what the documents show: each page on a desk, the first on a phone. Into a folder given: both of each."""
    whole = len(sys.argv) > 1
    folder = Path(sys.argv[1]) if whole else Path(__file__).parents[1] / "docs" / "images"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        Demo(Path(name))
        with served(Path(name)) as url:
            faults = (
                take(url, folder)
                if whole
                else [*take(url, folder, ALL, WIDTHS[:1]), *take(url, folder, ALL[:1], WIDTHS[1:])]
            )
    sys.stderr.writelines(f"{fault}\n" for fault in faults)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
