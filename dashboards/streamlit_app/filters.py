"""What the reader chose: a period and values, kept in the address so that a view can be sent to somebody."""

from collections.abc import Iterable
from datetime import date, timedelta

import streamlit as st

from dashboards.panels import Panel
from dashboards.panels.sql import Choice
from dashboards.streamlit_app.reading import rows

_OPTIONS = {
    "truck_id": ("Trucks", "SELECT DISTINCT truck_id FROM truck_day ORDER BY truck_id"),
    "item_id": ("Items", "SELECT item_id FROM item ORDER BY item_id"),
    "country": ("Countries", "SELECT DISTINCT country FROM sales_day ORDER BY country"),
}
_BOUNDS = """SELECT MIN(day) AS first, MAX(day) AS last
FROM (SELECT day FROM truck_day UNION ALL SELECT day FROM traffic_day UNION ALL SELECT day FROM sales_day) AS days"""
_SHOWN_AT_FIRST = 30


def chosen(panels: Iterable[Panel]) -> Choice:
    """The widgets in the side bar that these panels need, and what they say."""
    shown = list(panels)
    first = last = None
    if any(panel.time for panel in shown):
        first, last = _period()
    filters = sorted({name for panel in shown for name in panel.filters})
    return Choice(first, last, {name: _values(name) for name in filters})


def _period() -> tuple[date | None, date | None]:
    bounds = rows(_BOUNDS)[0]
    if bounds["first"] is None:
        return None, None
    first, last = date.fromisoformat(bounds["first"]), date.fromisoformat(bounds["last"])
    begin = max(first, last - timedelta(days=_SHOWN_AT_FIRST - 1))
    picked = st.sidebar.date_input(
        "Period (UTC days)", (begin, last), min_value=first, max_value=last, key="period", bind="query-params"
    )
    days = picked if isinstance(picked, tuple) else (picked,)
    if len(days) == 2:
        return days[0], days[1]
    return (days[0], days[0]) if days else (begin, last)  # while only the first day is picked


def _values(name: str) -> list[str]:
    label, sql = _OPTIONS[name]
    options = [str(row[name]) for row in rows(sql) if row[name] is not None]
    return list(
        st.sidebar.multiselect(label, options, key=name, placeholder="all", bind="query-params", filter_mode="contains")
    )
