"""The pages of `milepost dashboard`: with data, empty, and with what they read gone."""

import json
import re
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import streamlit as st
from pandas.testing import assert_frame_equal  # type: ignore[import-untyped]
from streamlit import dataframe_util
from streamlit.testing.v1 import AppTest

from contract import timestamps
from dashboards.panels.sql import Choice, select
from dashboards.panels.views import PANELS, SHOP_PARTS, STREAMLIT
from dashboards.streamlit_app import panel_view
from dashboards.streamlit_app.source import DashboardSource, open_source
from tests.dashboards.demo import FIRST, LAST, TRUCKS, Demo
from tests.dashboards.panel_table import query_of
from tests.dashboards.test_panels import WHOLE
from tests.postgresql import cluster
from tests.waiting import until
from warehouse.engines.postgresql import PostgresEngine
from warehouse.settings import WarehouseSettings

TITLES = [*STREAMLIT, "Store now"]
PARTS = [(title, None) for title in TITLES if title != "Shop"] + [("Shop", part) for part in SHOP_PARTS]


def _script(title: str) -> None:
    """What runs in the page: the application's own functions."""
    from dashboards.streamlit_app.pages import page
    from dashboards.streamlit_app.store_now import TITLE, store_now

    if title == TITLE:
        store_now()
    else:
        page(title)


def run(source: DashboardSource, title: str, **query: str) -> AppTest:
    """The page as a reader first sees it, with this in its address."""
    st.cache_data.clear()
    open_source(source)
    shown = AppTest.from_function(_script, default_timeout=60, kwargs={"title": title})
    for name, value in query.items():
        shown.query_params[name] = value
    shown.run()
    assert not shown.exception, [each.value for each in shown.exception]
    return shown


def source(folder: Path, **changes: Any) -> DashboardSource:
    return DashboardSource(folder, f"sqlite:///{folder / 'milepost.db'}", **changes)


@pytest.mark.parametrize(("title", "part"), PARTS)
def test_a_page_with_data_shows_each_of_its_panels(title: str, part: str | None, demo: Demo) -> None:
    shown = run(source(demo.folder), title, **({"part": part} if part else {}))
    assert [each.value for each in shown.title] == [title]
    assert [each.value for each in shown.error] == []
    if title == "Store now":
        assert [each.value for each in shown.subheader] == ["Clicks per item", "Current trucks"]
        assert set(shown.dataframe[1].value["truck_id"]) == set(TRUCKS)
        assert len(shown.get("download_button")) == 2
        return
    names = SHOP_PARTS[part] if part else STREAMLIT[title]
    assert {each.value for each in shown.subheader} == {PANELS[name].title for name in names}
    nothing = int("routes_day" in names)  # the demonstration plans no route
    assert len(shown.info) == nothing
    assert [each.label for each in shown.get("download_button")] == ["CSV"] * (len(names) - nothing)


@pytest.mark.parametrize(("title", "part"), PARTS)
def test_what_the_charts_of_a_page_draw_is_the_marts(title: str, part: str | None, demo: Demo) -> None:
    """Of each panel that is a picture, in its order: the numbers that Streamlit sends to the browser."""
    if title == "Store now":
        return
    shown = run(source(demo.folder), title, **({"part": part} if part else {}))
    sent = iter([_numbers(each.proto) for each in shown.get("vega_lite_chart")])
    for panel in map(PANELS.__getitem__, SHOP_PARTS[part] if part else STREAMLIT[title]):
        if panel.chart not in ("line", "bar", "funnel", "heatmap"):
            next(sent) if panel.chart == "flow" else None
            continue
        few = {"truck_id": TRUCKS[:2]} if panel.chart == "line" and "truck_id" in panel.by else {}
        rows = query_of(demo.folder)(select(panel, Choice(WHOLE.first, WHOLE.last, few)))
        numbered = [each.result for each in panel.measures if each.unit]
        if panel.chart == "heatmap":
            numbered = [each for each in numbered or [panel.measures[0].result] if each in ("retained", "due")]
        elif not {"day", "hour"} & set(panel.by):
            numbered, rows = numbered[:1], rows[:25]
        wanted = sorted(row[each] for row in rows for each in numbered if row[each] is not None)
        drawn: list[float] = []
        while len(drawn) < len(wanted):
            drawn += next(sent)
        assert sorted(drawn) == pytest.approx(wanted), panel.name
    assert list(sent) == []


def _numbers(chart: Any) -> list[float]:
    frames = [dataframe_util.convert_arrow_bytes_to_pandas_df(each.data.data) for each in chart.datasets]
    return next((list(each["value"]) for each in frames if "value" in each), [])


def _rows(shown: Any) -> list[dict[str, Any]]:
    """What a table holds, as the marts give it."""
    held = shown.astype(object).where(shown.notna(), None).to_dict("records")
    return [{name: _plain(value) for name, value in row.items()} for row in held]


def _plain(value: Any) -> Any:
    return timestamps.from_datetime(value) if isinstance(value, datetime) else value


def test_instants_are_read_to_the_minute_in_utc_and_sort_as_such(demo: Demo) -> None:
    for title, columns in (("Trips", ["trip_start", "trip_end"]), ("Store now", ["sampled_at", "current_since"])):
        table = next(each for each in run(source(demo.folder), title).dataframe if columns[0] in each.value)
        told = json.loads(table.proto.columns)
        assert {column: told[column]["type_config"]["format"] for column in columns} == dict.fromkeys(
            columns, "YYYY-MM-DD HH:mm"
        )
        assert {told[column]["type_config"]["timezone"] for column in columns} == {"UTC"}
        assert all(str(table.value[column].dtype).endswith("UTC]") for column in columns)
    (deck,) = run(source(demo.folder), "Fleet map").get("deck_gl_json_chart")
    assert re.findall(r"last trip ended (.*?)\"", deck.proto.json) == [
        f"{LAST.date()} {hour:02}:38 UTC" for hour in (8, 9, 10)
    ]


def test_the_tables_and_figures_are_the_marts(demo: Demo) -> None:
    """What AppTest can read as numbers: every table of the page, and its figures."""
    ask = query_of(demo.folder)
    for title, name in (("Efficiency", "efficiency_truck"), ("Trips", "trips"), ("Deliveries", "late_truck")):
        tables = [each.value for each in run(source(demo.folder), title).dataframe]
        wanted = ask(select(PANELS[name], WHOLE))
        found = next(each for each in tables if list(each.columns) == list(wanted[0]))
        assert _rows(found) == wanted[:100]
    figures = {each.label: each.value for each in run(source(demo.folder), "Overview").metric}
    total = ask(select(PANELS["fleet_total"], WHOLE))[0]
    assert figures["Distance"] == f"{total['distance_km']:,.1f} km"
    assert figures["Trips"] == f"{total['trips']:,}"


def test_an_amount_has_its_own_currency(demo: Demo) -> None:
    """Revenue the warehouse's; a price that of its row, which stands beside it."""
    dollars = WarehouseSettings(currency="USD")
    tables = run(source(demo.folder, warehouse=dollars), "Shop", part="Items").dataframe
    formats = [json.loads(each.proto.columns) for each in tables]
    assert [each["revenue"]["type_config"]["format"] for each in formats if "revenue" in each] == ["%.2f USD"] * 2
    assert [each["price"]["type_config"]["format"] for each in formats if "price" in each] == ["%.2f"]


def test_filters_stand_in_the_address_and_are_applied(demo: Demo) -> None:
    first = FIRST.date().isoformat()
    shown = run(source(demo.folder), "Trips", truck_id=TRUCKS[1])
    assert set(shown.dataframe[0].value["truck_id"]) == {TRUCKS[1]}
    assert shown.multiselect(key="truck_id").value == [TRUCKS[1]]
    shown.date_input(key="period").set_value((FIRST.date(), FIRST.date()))
    shown.run()
    assert {str(each)[:10] for each in shown.dataframe[0].value["trip_start"]} == {first}


@pytest.mark.parametrize(("title", "part"), PARTS)
def test_an_empty_installation_says_so(title: str, part: str | None, empty: Demo) -> None:
    shown = run(source(empty.folder), title, **({"part": part} if part else {}))
    assert [each.value for each in shown.error] == []
    assert title in ("Overview", "Data quality") or shown.info
    assert not [each for each in shown.metric if each.value not in ("–", "0", "0.00 EUR", "0.0 km")]


@pytest.mark.parametrize("title", TITLES)
def test_a_source_that_is_away_is_named_with_the_remedy(title: str, tmp_path: Path) -> None:
    shown = run(source(tmp_path), title)
    if title == "Store now":
        assert [each.value for each in shown.info] == [f"Nothing yet in sqlite:///{tmp_path / 'milepost.db'}."] * 2
        return
    assert len(shown.error) == 1
    assert "`milepost warehouse build` makes one" in shown.error[0].value


def test_a_postgresql_and_a_store_that_do_not_answer(demo: Demo) -> None:
    nobody = WarehouseSettings(engine="postgresql://milepost:geheim@127.0.0.1:1/postgres")
    shown = run(source(demo.folder, warehouse=nobody), "Overview")
    assert "does not answer" in shown.error[0].value
    assert "geheim" not in shown.error[0].value
    broken = demo.folder / "no.db"
    broken.write_bytes(b"this is no database" * 100)
    shown = run(DashboardSource(demo.folder, f"sqlite:///{broken}"), "Store now")
    assert f"The store sqlite:///{broken} cannot be read" in shown.error[0].value


@pytest.mark.prove
def test_the_pages_over_postgresql_show_what_those_over_duckdb_show(demo: Demo) -> None:
    with cluster() as url:
        demo.build_on(PostgresEngine(url))
        for title in ("Overview", "Trips", "Customers"):
            theirs = run(source(demo.folder, warehouse=WarehouseSettings(engine=url)), title)
            ours = run(source(demo.folder), title)
            assert [each.value for each in theirs.error] == []
            assert [each.value for each in theirs.metric] == [each.value for each in ours.metric]
            assert len(theirs.get("vega_lite_chart")) == len(ours.get("vega_lite_chart"))
            for one, other in zip(theirs.dataframe, ours.dataframe, strict=True):
                assert_frame_equal(one.value, other.value, check_dtype=False)


def test_queries_are_kept_until_there_is_a_newer_build(demo: Demo, tmp_path: Path) -> None:
    asked: list[str] = []

    class Listening(DashboardSource):
        def rows(self, sql: str) -> list[dict[str, Any]]:
            asked.append(sql)
            return super().rows(sql)

    file = tmp_path / "warehouse.duckdb"
    shutil.copy(demo.folder / file.name, file)
    shown = run(Listening(tmp_path, "sqlite:///none.db"), "Overview")
    before = float(shown.metric[0].value.removesuffix(" km").replace(",", ""))
    first = len(asked)
    shown.run()
    assert {sql for sql in asked[first:] if "FROM build" not in sql} == set()
    with duckdb.connect(str(file)) as db:  # as a build leaves them: newer numbers under a newer number
        db.execute("UPDATE marts.truck_day SET distance_km = distance_km * 2; UPDATE marts.build SET build = build + 1")
    until(lambda: [each for each in shown.run().caption if "lake build 2" in each.value])
    assert float(shown.metric[0].value.removesuffix(" km").replace(",", "")) == pytest.approx(2 * before, abs=0.11)


@pytest.mark.parametrize("title", ["Trucks", "Trips", "Deliveries"])
def test_a_table_has_pages(title: str, demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panel_view, "_PAGE", 5)
    ask = query_of(demo.folder)
    shown = run(source(demo.folder), title)
    tables = [PANELS[name] for name in STREAMLIT[title] if PANELS[name].chart in ("table", "map")]
    whole = {panel.name: ask(select(panel, WHOLE)) for panel in tables}
    paged = {name: -(-len(rows) // 5) for name, rows in whole.items() if len(rows) > 5}
    assert {each.key: each.num_pages for each in shown.pagination} == {f"page-{name}": n for name, n in paged.items()}
    assert paged
    for name, pages in paged.items():
        shown.pagination(key=f"page-{name}").set_value(pages)
    shown.run()
    for name, pages in paged.items():
        found = next(each.value for each in shown.dataframe if list(each.value.columns) == list(whole[name][0]))
        assert _rows(found) == whole[name][5 * (pages - 1) :]
