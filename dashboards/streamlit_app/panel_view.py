"""One panel on a page: its title with what it means, its picture or table, and its rows as CSV."""

from typing import Any

import streamlit as st

from contract.errors import MilepostError
from dashboards.panels import Panel
from dashboards.panels.sql import Choice, select
from dashboards.streamlit_app.charts import charts
from dashboards.streamlit_app.flow import sankey
from dashboards.streamlit_app.formats import column_format, figure, label
from dashboards.streamlit_app.reading import rows
from dashboards.streamlit_app.source import opened
from warehouse.read import as_csv

_PAGE = 100
_LINES = 3
Rows = list[dict[str, Any]]


def show(panel: Panel, choice: Choice) -> None:
    """The panel for what was chosen; an error or an empty answer is said in its place."""
    head, button = st.columns([4, 1], vertical_alignment="bottom")
    head.subheader(panel.title, help=f"{panel.description}\n\nMetrics: {metrics(panel)}", anchor=panel.name)
    choice = _few_lines(panel, choice)
    try:
        found = rows(select(panel, choice))
    except MilepostError as error:
        st.error(str(error))
        return
    if not found or all(row[each.result] is None for row in found for each in panel.measures):
        st.info("Nothing in this period." if panel.time else "Nothing yet.")
        return
    button.download_button(
        "CSV", as_csv(found), f"{panel.name}.csv", "text/csv", key=f"csv-{panel.name}", on_click="ignore",
        type="tertiary", width="stretch", wrap=False, help=f"All {len(found)} rows of {panel.title}",
    )  # fmt: skip
    if panel.most and len(found) == panel.most:
        st.caption(f"The first {panel.most:,} rows; choose a shorter period or fewer trucks for the others.")
    if panel.chart == "stat":
        _figures(panel, found[0])
    elif panel.chart == "flow":
        st.altair_chart(sankey(found, panel.by[0], panel.by[1], panel.measures[0].result), width="stretch")
    elif panel.chart in ("table", "map"):
        _table(panel, found)
    else:
        for chart in charts(panel, found):
            st.altair_chart(chart, width="stretch")
        if panel.name in ("clicks_item", "segments"):
            _table(panel, found)


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
    pages = -(-len(found) // _PAGE)
    page = st.pagination(pages, key=f"page-{panel.name}") if pages > 1 else 1
    currency = opened().warehouse.currency
    columns: dict[str, Any] = {column: st.column_config.Column(label(column)) for column in panel.by}
    for each in panel.measures:
        title = label(each.result, each.unit)
        form = column_format(each, currency)
        columns[each.result] = (
            st.column_config.NumberColumn(title, format=form) if form else st.column_config.Column(title)
        )
    st.dataframe(
        found[(page - 1) * _PAGE : page * _PAGE],
        column_config=columns,
        hide_index=True,
        placeholder="–",
        key=f"rows-{panel.name}",
    )
