"""First render and a filter of each page of `milepost dashboard` in Chromium, at 1,000 trucks × 30 days.

The marts are made once and kept in `.tools/`: twenty trucks' minutes of 30 days through the real build, copied fifty
times under other names, and the shop of the tests copied by its keys. Each page is opened in a browser that knows the
scripts already, with nothing asked of the warehouse before; then one truck, item or country is chosen. Both end when
every chart, table and figure is drawn. Aims: 2 s and 1 s. `python -m benchmarks.dashboards Trucks` takes one page.
Of all panels of these pages the slowest query is printed with the operators that take its time; it has no aim.
"""

import hashlib
import json
import shutil
import sys
import textwrap
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
from playwright.sync_api import CDPSession, Page, sync_playwright

from benchmarks import warehouse as fleet
from collector.stores.factory import open_store
from dashboards.panels import MART_TIME
from dashboards.panels.sql import Choice, select
from dashboards.panels.views import PANELS, STREAMLIT
from scripts.dashboard_screenshots import CHROMIUM, FLAGS, address, served
from tests.dashboards import demo
from warehouse.build import build
from warehouse.engines.duckdb import DuckDbEngine
from warehouse.sources import Terms

FIRST_AIM, FILTER_AIM = 2.0, 1.0
BUILT, COPIES, DAYS = 20, 50, 30
LINES = 2  # trucks of which a page draws lines where none is chosen
_KEYS = {
    "session": ("session_id", 200), "customer": ("customer_id", 2000), "delivery": ("order_id", 250),
    "product_day": ("item_id", 40), "item": ("item_id", 40), "stock_cover": ("item_id", 40),
}  # fmt: skip
"""Mart of the shop → its key and how often each row is copied under another."""
_DRAWN = """() => {
    if (!document.querySelector('h1')) return false;
    const app = document.querySelector('[data-testid=stApp]');
    if (app.dataset.testScriptState !== 'notRunning') return false;
    if (document.querySelector('[data-stale=true], [data-testid=stSkeleton]')) return false;
    const drawn = (test, what) => [...document.querySelectorAll(`[data-testid=${test}]`)].every(
        each => each.querySelector(what));
    return drawn('stVegaLiteChart', 'canvas, svg') && drawn('stDataFrame', 'canvas')
        && drawn('stDeckGlJsonChart', 'canvas');
}"""


def _marts() -> Path:
    """The folder of the installation, made where it is not there yet."""
    made_by = b"".join(Path(module.__file__ or "").read_bytes() for module in (fleet, demo, sys.modules[__name__]))
    models = (Path(fleet.__file__).parents[1] / "warehouse" / "rendered" / "duckdb.json").read_bytes()
    root = Path(__file__).parents[1] / ".tools" / "benchmarks"
    folder = root / f"dashboards-{hashlib.sha256(made_by + models).hexdigest()[:12]}"
    if not folder.exists():
        shutil.rmtree(root, ignore_errors=True)
        made = root / "new"
        made.mkdir(parents=True)
        fleet.grow(made / "lake", BUILT, fleet.FIRST, DAYS)
        build(made / "lake", DuckDbEngine(made / "warehouse.duckdb"), Terms())
        shop = made / "shop"
        shop.mkdir()
        demo.Demo(shop)
        _copy(made / "warehouse.duckdb", shop / "warehouse.duckdb")
        shutil.copy(shop / "milepost.db", made)
        shutil.rmtree(made / "lake")
        shutil.rmtree(shop)
        made.rename(folder)
    open_store(f"sqlite:///{folder / 'milepost.db'}").close()  # of whatever release made it
    return folder


def _copy(file: Path, shop: Path) -> None:
    """The twenty trucks fifty times; the shop's rows by key and day; trucks' rows that only the shop's folder has."""
    with duckdb.connect(str(file)) as db:
        db.execute("SET TimeZone = 'UTC'")
        db.execute(f"ATTACH '{shop}' AS shop (READ_ONLY)")
        named = "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'marts' AND database_name = 'shop'"
        for (mart,) in db.execute(named).fetchall():
            columns = dict(db.execute(f"SELECT column_name, column_type FROM (DESCRIBE marts.{mart})").fetchall())
            count = db.execute(f"SELECT count(*) FROM marts.{mart}").fetchone()
            if "truck_id" in columns and count and count[0]:
                more = f"lpad(CAST(CAST(right(truck_id, 5) AS INTEGER) + {BUILT} * copy AS VARCHAR), 5, '0')"
                db.execute(
                    f"INSERT INTO marts.{mart} SELECT * EXCLUDE (copy)"
                    f" REPLACE ('TRUCK-' || {more} AS truck_id)"
                    f" FROM marts.{mart}, range(1, {COPIES}) AS copies (copy)"
                )
            elif mart != "build":
                db.execute(_shop(mart, columns))
        db.execute(
            "INSERT INTO marts.truck_history SELECT * EXCLUDE (copy) REPLACE (false AS is_current,"
            " effective_start_date - copy * INTERVAL 1 HOUR AS effective_start_date,"
            " effective_start_date - (copy - 1) * INTERVAL 1 HOUR AS effective_end_date)"
            " FROM marts.truck_history, range(1, 13) AS copies (copy)"
        )


def _shop(mart: str, columns: dict[str, str]) -> str:
    """Rows of the tests' shop, moved to the month of the fleet and copied by key."""
    back = (demo.FIRST.date() - fleet.FIRST).days
    key, copies = _KEYS.get(mart, ("truck_id", 300) if "truck_id" in columns else ("", 1))
    weeks = DAYS // demo.DAYS if MART_TIME.get(mart) else 1
    told = [
        f'CAST("{name}" + (week * {demo.DAYS} - {back}) * INTERVAL 1 DAY AS {kind}) AS "{name}"'
        for name, kind in columns.items()
        if kind == "DATE" or kind.startswith("TIMESTAMP")
    ]
    if key == "truck_id":
        told.append("'TRUCK-' || lpad(CAST(copy AS VARCHAR), 5, '0') AS truck_id")
    elif key:
        told.append(f"{key} || CASE WHEN copy > 0 THEN '-' || copy ELSE '' END AS {key}")
    replaced = f" REPLACE ({', '.join(told)})" if told else ""
    return (
        f"INSERT INTO marts.{mart} SELECT * EXCLUDE (copy, week){replaced}"
        f" FROM shop.marts.{mart}, range({copies}) AS c (copy), range({weeks}) AS w (week)"
    )


def _drawn(page: Page) -> None:
    page.wait_for_function(_DRAWN, timeout=90_000, polling=20)


def _cpu(developer: CDPSession) -> float:
    """CPU seconds of the page's process: on a machine with other work the clock says more than the page needs."""
    told = developer.send("Performance.getMetrics")["metrics"]
    return float(next(each["value"] for each in told if each["name"] == "ProcessTime"))


def _operators(node: dict[str, Any], depth: int = 0) -> Iterator[tuple[float, str]]:
    """Seconds of CPU and a line of each operator of a plan, in the plan's order."""
    told = node.get("extra_info", {})
    about = told.get("Table") or told.get("Groups") or told.get("Order By") or told.get("Conditions") or ""
    seconds = node.get("operator_timing", 0.0)
    rows, indent = node.get("operator_cardinality", 0), "  " * depth
    line = f"{seconds:.4f} s {indent}{node.get('operator_name', '').strip()} {rows:,} rows {about}"
    yield seconds, line.replace("\n", " ")[:100].rstrip()
    for child in node.get("children", ()):
        yield from _operators(child, depth + 1)


def _slowest(file: Path, titles: list[str]) -> None:
    """The slowest query of the panels, each the best of three, tables whole; lines by truck are of a few trucks."""
    last = fleet.FIRST + timedelta(days=DAYS - 1)
    few = [f"TRUCK-{number:05}" for number in range(LINES)]
    taken = []
    with duckdb.connect(str(file), read_only=True) as db:
        db.execute("SET TimeZone = 'UTC'")
        db.execute("SET search_path = 'marts,base'")
        for name in sorted({name for title in titles for name in STREAMLIT[title]}):
            panel = PANELS[name]
            lines = panel.chart == "line" and "truck_id" in panel.by
            sql = select(panel, Choice(fleet.FIRST, last, {"truck_id": few} if lines else {}))
            tries = []
            for _ in range(3):
                began = time.perf_counter()
                db.execute(sql).fetchall()
                tries.append(time.perf_counter() - began)
            taken.append((min(tries), name, sql))
        seconds, name, sql = max(taken)
        found = db.execute(f"EXPLAIN (ANALYZE, FORMAT json) {sql}").fetchone()
    print(f"slowest of {len(taken)} panels' queries: {name} {seconds:.3f} s")
    print("\n".join(textwrap.wrap(" ".join(sql.split()), 100)[:15]))
    operators = list(_operators(json.loads(found[1]) if found else {}))
    slow = sorted(operators, reverse=True)[:15]
    print("\n".join(line for each, line in operators if each >= 0.0005 and (each, line) in slow))


def main(titles: list[str]) -> int:
    folder = _marts()
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as db:
        for mart in ("truck_day", "truck_hour", "truck_trip", "truck_history", "session", "delivery", "customer"):
            print(f"{mart}: {db.execute(f'SELECT count(*) FROM marts.{mart}').fetchone()[0]:,} rows")  # type: ignore[index]
    missed = []
    with served(folder) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        context = browser.new_context(viewport={"width": 1400, "height": 1000})
        page = context.new_page()
        for _ in range(3):  # the scripts of Streamlit, which a browser has and has compiled after its first visits
            page.goto(f"{url}/store-now")
            _drawn(page)
        developer = context.new_cdp_session(page)
        developer.send("Performance.enable")
        for title in titles:
            page.goto("about:blank")
            began, used = time.perf_counter(), _cpu(developer)
            page.goto(f"{url}/{address(title)}")
            _drawn(page)
            first, needed = time.perf_counter() - began, _cpu(developer) - used
            said = f"{title:14} first {first:5.2f} s (aim < {FIRST_AIM}; {needed:.2f} CPU s in the browser)"
            filters = page.locator("[data-testid=stSidebar] [data-testid=stMultiSelect] input")
            if filters.count():
                filters.first.click()
                page.wait_for_timeout(500)
                began = time.perf_counter()
                page.keyboard.press("Enter")  # the first of the list
                page.wait_for_timeout(100)
                _drawn(page)
                chosen = time.perf_counter() - began
                said += f", filter {chosen:5.2f} s (aim < {FILTER_AIM})"
                if chosen >= FILTER_AIM:
                    missed.append(f"{title}: filter")
            if first >= FIRST_AIM:
                missed.append(f"{title}: first")
            print(said, flush=True)
        browser.close()
    _slowest(folder / "warehouse.duckdb", titles)
    print(f"missed: {', '.join(missed)}" if missed else "all pages met")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or list(STREAMLIT)))
