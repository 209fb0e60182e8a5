"""axe-core over every page, with data and empty, wide and narrow, light and dark: nothing serious."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from console.settings import ConsoleSettings
from tests.collector.stores_on_disk import Collector
from tests.console.conftest import serving

CHROMIUM = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
AXE = Path(__file__).with_name("axe")
PAGES = {
    "/": ("T2", "No trucks yet"),
    "/truck/T2": ("Completeness", "no sample of"),
    "/shop": ("onerror", "No event yet"),
    "/orders": ("No orders yet", "No orders yet"),
    "/pipeline": ("onerror", "Pipeline"),
    "/alerts": ("onerror", "Nothing needs anybody"),
    "/sign-in": ("Sign in", "Sign in"),
}
"""Path → what stands there once its data have come, and where there are none."""


def test_axe_is_what_npm_gave() -> None:
    said = json.loads((AXE / "VENDORED.json").read_text())["sha256"]
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in AXE.iterdir() if path.suffix != ".json"
    }
    assert found == said


@pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed: make test installs it")
@pytest.mark.parametrize(
    ("scheme", "width", "kinds"),
    [
        ("light", 1400, ("data", "empty")),
        ("dark", 390, ("data",)),
        pytest.param("dark", 390, ("empty",), marks=pytest.mark.prove),
        pytest.param("dark", 1400, ("data", "empty"), marks=pytest.mark.prove),
        pytest.param("light", 390, ("data", "empty"), marks=pytest.mark.prove),
    ],
)
def test_no_page_has_a_serious_finding(
    url: str, tmp_path: Path, scheme: str, width: int, kinds: tuple[str, ...]
) -> None:
    from playwright.sync_api import sync_playwright

    empty_folder = tmp_path / "empty"
    empty_folder.mkdir()
    Collector(empty_folder / "milepost.db").close()
    axe = (AXE / "axe.min.js").read_text(encoding="utf-8")
    found: list[str] = []
    with sync_playwright() as playwright, serving(empty_folder, ConsoleSettings()) as empty:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        context = browser.new_context(
            color_scheme=scheme,  # type: ignore[arg-type]
            viewport={"width": width, "height": 800},
            bypass_csp=True,  # only so that axe may be put into the page
        )
        page = context.new_page()
        for kind in kinds:
            for path, texts in PAGES.items():
                page.goto({"data": url, "empty": empty}[kind] + path)
                page.locator("main").get_by_text(texts[kind == "empty"]).first.wait_for(timeout=60_000)
                page.evaluate(axe)
                for finding in page.evaluate("axe.run()")["violations"]:
                    if finding["impact"] in ("serious", "critical"):
                        found.append(f"{kind} {path}: {finding['id']}: {finding['nodes'][0]['html']:.160}")
        browser.close()
    assert found == []


@pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed: make test installs it")
def test_axe_would_find_what_is_wrong(url: str) -> None:
    """A button without a name and grey on white, planted."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(bypass_csp=True)
        page.goto(f"{url}/orders")
        page.locator("main h1").first.wait_for(timeout=60_000)
        page.evaluate((AXE / "axe.min.js").read_text(encoding="utf-8"))
        page.evaluate("""() => {
            document.querySelector("main").append(document.createElement("button"));
            document.querySelector("main h1").style = "color: #ccc; background: #fff";
        }""")
        found = {each["id"] for each in page.evaluate("axe.run()")["violations"]}
        browser.close()
    assert {"button-name", "color-contrast"} <= found
