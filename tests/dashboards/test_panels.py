"""Every panel shows the mart's own numbers, on each engine; a wrong one is found."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from duckdb import connect

from dashboards.panels import INSTANTS, Measure
from dashboards.panels.sql import Choice, literal, select, select_count, select_page
from dashboards.panels.views import GRAFANA, PANELS, QUICKSIGHT, STREAMLIT
from tests.dashboards.demo import FIRST, LAST, TRUCKS, Demo
from tests.dashboards.panel_table import Marts, Shown, query_of, table
from tests.postgresql import cluster
from warehouse.engines.postgresql import PostgresEngine
from warehouse.read import plain_rows
from warehouse.rendering import models

WHOLE = Choice(FIRST.date(), LAST.date())
CHOICES = {
    "whole": WHOLE,
    "two days": Choice(FIRST.date() + timedelta(days=1), FIRST.date() + timedelta(days=2)),
    "chosen": Choice(
        FIRST.date(), LAST.date(), {"truck_id": TRUCKS[:2], "item_id": ["ITEM-1", "'; --"], "country": ["DE"]}
    ),
    "before all": Choice(FIRST.date() - timedelta(days=9), FIRST.date() - timedelta(days=8)),
}


@pytest.fixture(scope="module")
def duckdb(demo: Demo) -> Marts:
    return Marts(query_of(demo.folder))


@pytest.fixture(scope="module")
def postgresql(demo: Demo) -> Iterator[Marts]:
    with cluster() as url:
        engine = PostgresEngine(url)
        demo.build_on(engine)
        yield Marts(lambda sql: plain_rows(engine.query(sql)))


@pytest.mark.parametrize(
    ("engine", "chosen"), [*(("duckdb", name) for name in CHOICES), ("postgresql", "whole"), ("postgresql", "chosen")]
)
def test_every_panel_shows_the_marts_numbers(engine: str, chosen: str, request: pytest.FixtureRequest) -> None:
    marts: Marts = request.getfixturevalue(engine)
    choice = CHOICES[chosen]
    shown = [Shown("panels", "", panel, select(panel, choice), choice) for panel in PANELS.values()]
    lines = table(shown, marts)
    assert [(line.panel, line.fault) for line in lines if line.fault] == []
    if choice is WHOLE:
        valued = {line.panel for line in lines if line.value is not None}
        assert set(PANELS) - valued <= {"routes_day"}, "the demonstration has nothing for it to show"


def test_a_wrong_sql_a_wrong_type_and_an_orphan_are_each_found(duckdb: Marts) -> None:
    right = PANELS["efficiency_truck"]

    def faults(shown: Shown) -> set[str]:
        return {line.fault for line in table([shown], duckdb)}

    sql = select(right, WHOLE)
    assert faults(Shown("t", "p", right, sql, WHOLE)) == {""}
    for planted in (
        sql.replace("SUM(idle_min)", "SUM(engine_min)"),
        sql.replace("SUM(distance_km) AS", "AVG(distance_km) AS"),
        sql.replace("SUM(fuel_per_100km * distance_km) / NULLIF", "AVG(fuel_per_100km) + 0 * NULLIF"),
        sql.replace(f"DATE '{FIRST.date()}'", f"DATE '{LAST.date()}'"),
        sql.replace("SUM(fuel_l)", "SUM(fuel_litres)"),
    ):
        assert planted != sql
        assert "" not in faults(Shown("t", "p", right, planted, WHOLE))
    texts = sql.replace("SUM(idle_min) AS", "CAST(SUM(idle_min) AS varchar) AS")
    assert "not a number" in str(faults(Shown("t", "p", right, texts, WHOLE)))
    orphan = replace(right, measures=(*right.measures, Measure("co2_kg", "sum")))
    assert faults(Shown("t", "p", orphan, select(orphan), WHOLE)) == {"truck_day has no co2_kg"}
    added = replace(PANELS["traffic_day"], measures=(Measure("users", "sum"),))
    assert faults(Shown("t", "p", added, select(added), WHOLE)) == {"adds up users"}


def test_every_mart_is_shown_and_every_panel_stands_on_a_page() -> None:
    marts = {model.name.removeprefix("marts.") for model in models("duckdb") if model.name.startswith("marts.")}
    shown = {name for names in STREAMLIT.values() for name in names}
    assert shown == set(PANELS)
    unshown = marts - {PANELS[name].mart for name in shown}
    assert {mart for mart in unshown if not mart.startswith(("dim_", "fact_"))} == set()  # those are for own queries
    others = {name for view in (GRAFANA, QUICKSIGHT) for names in view.values() for name in names}
    assert others <= set(PANELS)


def test_the_instants_are_those_of_the_marts(demo: Demo) -> None:
    """By their types, of every column that a panel shows as it is."""
    sql = "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE schema_name = 'marts'"
    with connect(str(demo.folder / "warehouse.duckdb"), read_only=True) as db:
        kinds = {(mart, column): kind for mart, column, kind in db.execute(sql).fetchall()}
    asked = {
        (panel.mart, column)
        for panel in PANELS.values()
        for column in (*panel.by, *(each.column for each in panel.measures if each.how != "count"))
        if (panel.mart, column) in kinds
    }
    assert {column for mart, column in asked if kinds[mart, column].startswith("TIMESTAMP")} == INSTANTS
    assert {kinds[mart, column].partition(" ")[0] for mart, column in asked if column in INSTANTS} == {"TIMESTAMP"}


def test_a_value_cannot_leave_its_quotes() -> None:
    assert literal("a'; DROP TABLE x; --") == "'a''; DROP TABLE x; --'"


@pytest.mark.parametrize("name", [name for name, panel in PANELS.items() if panel.chart in ("table", "map")])
def test_pages_hold_each_row_once(name: str, duckdb: Marts) -> None:
    panel = PANELS[name]
    count = duckdb.run(select_count(panel, WHOLE))[0]["found"]
    pages = [duckdb.run(select_page(panel, WHOLE, 7, number + 1)) for number in range(-(-count // 7))]
    whole = duckdb.run(select(panel, WHOLE))
    key = [str({column: row[column] for column in panel.by}) for page in pages for row in page]
    assert len(set(key)) == len(key) == len(whole) == count
    assert sorted(map(str, whole)) == sorted(str(row) for page in pages for row in page)
