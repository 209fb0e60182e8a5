"""One panel on a page: its title with what it means, its picture or table, and its rows as CSV."""

from dataclasses import replace
from functools import partial
from typing import Any

import streamlit as st

from contract.errors import MilepostError
from dashboards.panels import Panel
from dashboards.panels.sql import Choice, select, select_count, select_page
from dashboards.streamlit_app.charts import charts
from dashboards.streamlit_app.csv_files import csv_file
from dashboards.streamlit_app.flow import sankey
from dashboards.streamlit_app.formats import column_format, figure, label
from dashboards.streamlit_app.reading import rows
from dashboards.streamlit_app.source import opened
from dashboards.streamlit_app.tables import table

_PAGE = 100
CSV_ROWS = 100_000
"""At most, of a panel's CSV: some minutes' work of a spreadsheet, and 0.2 GB here while it is made."""
_LINES = 2
_NAMES = 40
_COLUMNS = 3
Rows = list[dict[str, Any]]


def show(panel: Panel, choice: Choice) -> None:
    """The panel for what was chosen; an error or an empty answer is said in its place."""
    head, button = st.columns([4, 1], vertical_alignment="bottom")
    head.subheader(panel.title, help=f"{panel.description}\n\nMetrics: {metrics(panel)}", anchor=panel.name)
    try:
        if panel.chart in ("table", "map"):
            is_there = _pages_of_rows(panel, choice)
        else:
            is_there = _picture(panel, rows(select(panel, _few_lines(panel, choice))))
    except MilepostError as error:
        st.error(str(error))
        return
    if not is_there:
        st.info("Nothing in this period." if panel.time else "Nothing yet.")
        return
    button.download_button(
        "CSV", partial(_csv, panel, choice), f"{panel.name}.csv", "text/csv", key=f"csv-{panel.name}",
        on_click="ignore", type="tertiary", width="stretch", wrap=False,
        help=f"All rows of {panel.title}, at most {CSV_ROWS:,}",
    )  # fmt: skip


def _csv(panel: Panel, choice: Choice) -> str:
    """All rows for what was chosen, also those that a picture leaves out; read only when somebody wants them."""
    return csv_file(opened().rows(select(replace(panel, most=CSV_ROWS), choice)))


def _picture(panel: Panel, found: Rows) -> bool:
    """Draw the rows; False where none says anything."""
    if not found or all(row[each.result] is None for row in found for each in panel.measures):
        return False
    if panel.chart == "stat":
        _figures(panel, found[0])
    elif panel.chart == "flow":
        st.altair_chart(sankey(found, panel.by[0], panel.by[1], panel.measures[0].result), width="stretch")
    else:
        drawn = _few_names(panel, found) if panel.chart == "heatmap" else found
        made = charts(panel, drawn)
        places = st.columns(_COLUMNS, gap="medium") if in_columns(panel) else [st.container()]
        for number, chart in enumerate(made):
            places[number % len(places)].altair_chart(chart, width="stretch")
        if panel.name in ("clicks_item", "segments"):
            _table(panel, found[:_PAGE])
    return True


def in_columns(panel: Panel) -> bool:
    """Whether a panel has so many charts that they stand side by side over the whole width.

    Args:
        panel: of a page.

    Returns:
        True for lines of several signals, each of which has a chart.
    """
    return panel.chart == "line" and len(panel.by) > 1 and len(panel.measures) > 2


def _few_names(panel: Panel, found: Rows) -> Rows:
    """The rows of the first names down the side: a picture of a thousand trucks shows none of them."""
    names = list(dict.fromkeys(row[panel.by[0]] for row in found))
    if len(names) <= _NAMES:
        return found
    st.caption(f"The first {_NAMES} of {len(names):,}; choose others at the side, or take the CSV.")
    kept = set(names[:_NAMES])
    return [row for row in found if row[panel.by[0]] in kept]


def _pages_of_rows(panel: Panel, choice: Choice) -> bool:
    """One page of the panel's rows as a table; False where there is none."""
    count: int = rows(select_count(panel, choice))[0]["found"]
    if not count:
        return False
    if count == panel.most:
        st.caption(f"The first {count:,} rows; choose a shorter period or fewer trucks for the others.")
    pages = -(-count // _PAGE)
    number = st.pagination(pages, key=f"page-{panel.name}") if pages > 1 else 1
    _table(panel, rows(select_page(panel, choice, _PAGE, number)))
    return True


def metrics(panel: Panel) -> str:
    """The names under which docs/metrics.md explains the numbers."""
    return ", ".join(f"`{panel.mart}.{each.column}`" for each in panel.measures)


def _few_lines(panel: Panel, choice: Choice) -> Choice:
    """A chart with a line per truck shows a few trucks where none was chosen."""
    if panel.chart != "line" or "truck_id" not in panel.by or choice.values.get("truck_id"):
        return choice
    try:
        trucks = [row["truck_id"] for row in rows("SELECT DISTINCT truck_id FROM truck_day ORDER BY truck_id")]
    except MilepostError:
        return choice
    if len(trucks) > _LINES:
        st.caption(f"The first {_LINES} of {len(trucks):,} trucks; choose others at the side.")
        return Choice(choice.first, choice.last, {**choice.values, "truck_id": trucks[:_LINES]})
    return choice


def _figures(panel: Panel, row: dict[str, Any]) -> None:
    currency = opened().warehouse.currency
    with st.container(horizontal=True):
        for each in panel.measures:
            st.metric(
                label(each.result, each.unit, with_unit=False),
                figure(row[each.result], each.unit, currency),
                help=f"`{panel.mart}.{each.column}`", width="content",
            )  # fmt: skip


def _table(panel: Panel, found: Rows) -> None:
    currency = opened().warehouse.currency
    columns: dict[str, Any] = {column: st.column_config.Column(label(column)) for column in panel.by}
    for each in panel.measures:
        title = label(each.result, each.unit)
        form = column_format(each, currency)
        columns[each.result] = (
            st.column_config.NumberColumn(title, format=form) if form else st.column_config.Column(title)
        )
    table(found, columns, f"rows-{panel.name}")
