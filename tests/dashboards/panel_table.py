"""The table panel → metric → mart → value, made from the files of each tool, with every fault found on the way.

A tool hands over what its files say as `Shown`; the SQL in it is run as it stands and compared with what plain Python
makes of the mart's rows. So a wrong SQL, a wrong type and a metric that no mart has are three different faults.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from dashboards.panels import NOT_ADDITIVE, Measure, Panel
from dashboards.panels.sql import Choice
from tests.dashboards.reference import difference, expected, with_beside
from warehouse.rendering import models

Run = Callable[[str], list[dict[str, Any]]]


@dataclass(frozen=True)
class Shown:
    """One panel as a tool's own files have it."""

    tool: str
    page: str
    panel: Panel
    sql: str
    choice: Choice = field(default_factory=Choice)
    rename: Mapping[str, str] = field(default_factory=dict)  # result column → the panel's column


@dataclass(frozen=True)
class Line:
    """A line of the table; fault is empty where the value is the mart's."""

    tool: str
    page: str
    panel: str
    metric: str
    mart: str
    value: Any
    fault: str


class Marts:
    """The marts of one engine, read whole and once."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.rows = cache(lambda mart: run(f"SELECT * FROM {mart}"))

    @staticmethod
    def columns(mart: str) -> set[str]:
        """What the models (docs/metrics.md) say that the mart has."""
        return next((set(model.columns) for model in models("duckdb") if model.name == f"marts.{mart}"), set())


def table(shown: Iterable[Shown], marts: Marts) -> list[Line]:
    """A line for each measure of each panel."""
    return [line for each in shown for line in _lines(each, marts)]


def _lines(shown: Shown, marts: Marts) -> list[Line]:
    panel = shown.panel
    fault = orphans(panel, marts.columns) or added_up(panel)
    rows: list[dict[str, Any]] = []
    if not fault:
        try:
            rows = [_renamed(shown, row) for row in marts.run(shown.sql)]
        except Exception as error:  # noqa: BLE001 - whatever the engine says of this SQL is the fault to report
            fault = f"does not run: {error}"
    if rows and not fault:
        fault = wrong_types(panel, rows)
    if not fault:
        held = marts.rows(panel.mart)
        if panel.beside:
            held = with_beside(panel, held, marts.rows(panel.beside.mart))
        fault = difference(rows, expected(panel, held, shown.choice), panel) or ""
    return [
        Line(
            shown.tool,
            shown.page,
            panel.name,
            f"{panel.mart}.{measure.column}",
            panel.mart,
            _first(rows, measure),
            fault,
        )
        for measure in panel.measures
    ]


def _renamed(shown: Shown, row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with the panel's own column names; a day that a tool wants as a time is a day again."""
    named = {shown.rename.get(name, name): value for name, value in row.items()}
    time = shown.panel.time
    if time and time[1] == "date" and time[0] in named and isinstance(named[time[0]], str):
        named[time[0]] = named[time[0]].removesuffix("T00:00:00.000Z")
    return named


def _first(rows: Sequence[Mapping[str, Any]], measure: Measure) -> Any:
    return rows[0].get(measure.result) if rows else None


def orphans(panel: Panel, columns: Callable[[str], set[str]]) -> str:
    """Columns of the panel that its mart does not have, nor the one beside it."""
    named = {
        *panel.by,
        *panel.filters,
        *(each.column for each in panel.measures),
        *(each.column for each in panel.where),
    }
    named |= {each.weight for each in panel.measures if each.weight} | ({panel.time[0]} if panel.time else set())
    had = columns(panel.mart)
    if beside := panel.beside:
        had |= {beside.column} if {beside.column, beside.key} <= columns(beside.mart) else set()
        named |= {beside.own_key}
    missing = sorted(named - had)
    return f"{panel.mart} has no {', '.join(missing)}" if missing else ""


def added_up(panel: Panel) -> str:
    """Measures whose rows are added up although they must not be."""
    wrong = [each.column for each in panel.measures if each.how == "sum" and (panel.mart, each.column) in NOT_ADDITIVE]
    return f"adds up {', '.join(wrong)}" if wrong else ""


def wrong_types(panel: Panel, rows: Sequence[Mapping[str, Any]]) -> str:
    """Measures with a unit whose values are no numbers, and measures that are not there."""
    for measure in panel.measures:
        for row in rows:
            if measure.result not in row:
                return f"no column {measure.result}"
            value = row[measure.result]
            if measure.unit and value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
                return f"{measure.result} is {value!r}, not a number"
    return ""


def query_of(data_dir: Path) -> Run:
    """The embedded warehouse of a data folder, as `warehouse.read` gives it."""
    from warehouse.read import query

    held: dict[str, list[dict[str, Any]]] = {}

    def run(sql: str) -> list[dict[str, Any]]:
        if sql not in held:
            held[sql] = query(sql, data_dir)
        return held[sql]

    return run
