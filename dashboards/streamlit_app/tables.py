"""Rows as a table: instants to the minute in UTC, which sort as instants; their milliseconds are in the CSV."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import streamlit as st

from dashboards.panels import INSTANTS
from dashboards.streamlit_app.formats import label

_MINUTES = "YYYY-MM-DD HH:mm"


def table(
    found: Sequence[Mapping[str, Any]],
    columns: Mapping[str, Any],
    key: str,
    *,
    instants: Collection[str] = INSTANTS,
) -> None:
    """Draw rows.

    Args:
        found: at least one row, values as `warehouse.read` gives them.
        columns: column → how Streamlit shows it; instants need none.
        key: of the element.
        instants: columns that hold `…sssZ`.
    """
    times = [name for name in found[0] if name in instants]
    rows = [{**row, **{name: _moment(row[name]) for name in times}} for row in found]
    shown = {
        name: st.column_config.DatetimeColumn(label(name), format=_MINUTES, timezone="UTC") for name in times
    }  # fmt: skip
    st.dataframe(rows, column_config={**columns, **shown}, hide_index=True, placeholder="–", key=key)


def _moment(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)
