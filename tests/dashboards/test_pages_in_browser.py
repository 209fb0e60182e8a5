"""What a reader does with the pages in a real Chromium: files, addresses, pages of rows, a newer build; and names that
strangers gave, which stay text."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import duckdb
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from collector.history import TrackingPolicy
from collector.ingest import Ingest
from collector.stores.factory import open_store
from contract.ingest_items import Item
from dashboards.panels.sql import Choice, select
from dashboards.panels.views import PANELS, SHOP_PARTS, STREAMLIT
from dashboards.streamlit_app.csv_files import csv_file
from dashboards.streamlit_app.formats import minutes
from dashboards.streamlit_app.panel_view import CSV_ROWS
from scripts.dashboard_screenshots import ALL, CHROMIUM, FLAGS, address, opened, served
from tests.dashboards.demo import Demo, clicks, ms
from tests.dashboards.panel_table import Run, query_of
from tests.dashboards.test_panels import WHOLE
from tests.waiting import until

pytestmark = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="chromium is not installed")

NAME = """=1+1 <img src="http://127.0.0.1:9/x" onerror="window.hit=1"> [x](javascript:window.hit=1) $y$ :red[z] """
"""What a stranger may call a page, an item or himself: a formula, HTML, Markdown."""
_MS = 60_000


def _named_by_strangers(file: Path) -> None:
    """Each text of each mart, but for those that a panel itself asks for; and more trips than a page of rows has."""
    ours = {(panel.mart, each.column) for panel in PANELS.values() for each in panel.where}
    with duckdb.connect(str(file)) as db:
        db.execute("SET TimeZone = 'UTC'")
        texts = db.execute(
            "SELECT table_name, column_name FROM duckdb_columns()"
            " WHERE schema_name = 'marts' AND data_type = 'VARCHAR' AND table_name <> 'build'"
        ).fetchall()
        for mart, column in sorted(set(texts) - ours):
            db.execute(f'UPDATE marts."{mart}" SET "{column}" = ? || "{column}"', [NAME])
        db.execute(
            "INSERT INTO marts.truck_trip SELECT * EXCLUDE (nth)"
            " REPLACE (trip_start - nth * INTERVAL 1 SECOND AS trip_start)"
            " FROM marts.truck_trip, range(1, 4) AS c (nth)"
        )


@pytest.fixture(scope="module")
def folder(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the demonstration whose names strangers gave, in the marts and in the store."""
    copied = tmp_path_factory.mktemp("strangers")
    for name in ("warehouse.duckdb", "milepost.db"):
        shutil.copy(demo.folder / name, copied)
    _named_by_strangers(copied / "warehouse.duckdb")
    store = open_store(f"sqlite:///{copied / 'milepost.db'}")
    told = {**clicks()[0], "event_id": "stranger", "event_type": "click", "item_id": NAME, "item_name": NAME}
    Ingest(store, TrackingPolicy.of()).ingest([Item("click", "http:clicks", told, ms(told["timestamp"]) + 1000)])
    store.close()
    return copied


@pytest.fixture(scope="module")
def ask(folder: Path) -> Run:
    return query_of(folder)


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    with served(folder) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield made
        made.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page on which at the end no name of a stranger has become anything but text."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(_MS)
    made, faults = context.new_page(), list[str]()
    made.on("request", lambda asked: faults.extend([asked.url] * ("127.0.0.1:9/" in asked.url)))
    made.on("dialog", lambda dialog: (faults.append(dialog.message), dialog.dismiss()))
    made.on("pageerror", lambda error: faults.append(str(error)))
    yield made
    hit = made.evaluate("window.hit")
    context.close()
    assert (faults, hit) == ([], None)


def _downloaded(page: Page, key: str) -> str:
    """The file behind a panel's button. It stands twice, for pointers and for fingers, of which one is shown."""
    with page.expect_download(timeout=_MS) as got:
        page.locator(f".st-key-{key} button:visible").last.click()
    return Path(got.value.path()).read_bytes().decode()


def _csv(ask: Run, name: str, choice: Choice) -> str:
    """All rows of a panel as the file has them."""
    return csv_file(ask(select(replace(PANELS[name], most=CSV_ROWS), choice)))


def _lines(text: str) -> list[str]:
    return sorted(text.split("\r\n"))


@pytest.mark.prove
@pytest.mark.parametrize("title", ALL)
def test_names_of_strangers_stay_text_and_each_csv_has_all_rows(title: str, page: Page, url: str, ask: Run) -> None:
    opened(page, f"{url}/{address(title)}")
    assert page.locator("[data-testid=stAlertContentError], [data-testid=stException]").count() == 0
    part = title.partition(": ")[2]
    names = SHOP_PARTS[part] if part else SHOP_PARTS["Traffic"] if title == "Shop" else STREAMLIT.get(title, ())
    for name in names:
        wanted = _csv(ask, name, WHOLE)
        if wanted:
            assert _lines(_downloaded(page, f"csv-{name}")) == _lines(wanted), name
    assert page.locator("[data-testid=stMain] img").count() == 0


def test_a_choice_stands_in_the_address_and_rows_have_pages(page: Page, url: str, ask: Run) -> None:
    trucks = [row["truck_id"] for row in ask("SELECT DISTINCT truck_id FROM truck_day ORDER BY truck_id")]
    trips = PANELS["trips"]
    opened(page, f"{url}/trips?truck_id={quote(trucks[1])}")
    chosen = Choice(WHOLE.first, WHOLE.last, {"truck_id": [trucks[1]]})
    assert _lines(_downloaded(page, "csv-trips")) == _lines(_csv(ask, "trips", chosen))
    page.locator("[data-testid=stSidebar] [data-testid=stMultiSelect] input").last.click()
    page.locator("[data-testid=stSelectboxVirtualDropdown] li, [role=option]").filter(
        has_text=trucks[2][-9:]
    ).last.click()
    page.wait_for_function("name => decodeURIComponent(location.search).includes(name)", arg=trucks[2][-9:])
    opened(page, page.url)  # as somebody to whom the address was sent
    both = Choice(WHOLE.first, WHOLE.last, {"truck_id": trucks[1:3]})
    assert _lines(_downloaded(page, "csv-trips")) == _lines(_csv(ask, "trips", both))
    rows = ask(select(trips, both))
    assert 100 < len(rows) <= 200
    grid = page.locator("[data-testid=stDataFrame]").first.locator("[role=grid]")
    until(lambda: grid.get_attribute("aria-rowcount") == "101")
    page.locator(".st-key-page-trips").get_by_role("button", name=re.compile("2")).last.click()
    until(lambda: grid.get_attribute("aria-rowcount") == str(len(rows) - 100 + 1))
    assert minutes(rows[100]["trip_start"]).removesuffix(" UTC") in grid.locator("[role=gridcell]").nth(1).inner_text()


@pytest.mark.prove
def test_a_newer_build_is_shown_without_loading_the_page_anew(demo: Demo, page: Page, tmp_path: Path) -> None:
    file = tmp_path / "warehouse.duckdb"
    shutil.copy(demo.folder / file.name, file)
    config = tmp_path / "milepost.toml"
    config.write_text("[dashboard]\nrefresh = 1\n")
    total = query_of(demo.folder)("SELECT SUM(distance_km) AS km FROM truck_day")[0]["km"]
    with served(tmp_path, "--config", str(config)) as url:
        opened(page, url)
        page.wait_for_selector(f"text={total:,.1f} km")
        page.evaluate("window.mark = 1")
        made = tmp_path / "made"
        shutil.copy(file, made)
        with duckdb.connect(str(made)) as db:  # as a build leaves them: newer numbers under a newer number
            db.execute(
                "UPDATE marts.truck_day SET distance_km = distance_km * 2; UPDATE marts.build SET build = build + 1"
            )
        made.replace(file)
        page.wait_for_selector("text=Marts of lake build 2")
        page.wait_for_selector(f"text={2 * total:,.1f} km")
        assert page.evaluate("window.mark") == 1
