"""The page "Store now": clicks and trucks as the collector's store has them this minute, without a warehouse.

It is what the earlier system's page showed from DynamoDB: clicks per item as table and bars, current trucks, speed by
truck.
"""

from functools import partial
from typing import Any

import altair as alt
import streamlit as st

from collector import queries
from contract.errors import MilepostError
from dashboards.panels import Unit
from dashboards.streamlit_app.charts import COLOURS, bars_height, frame
from dashboards.streamlit_app.csv_files import csv_file
from dashboards.streamlit_app.formats import label
from dashboards.streamlit_app.source import opened
from dashboards.streamlit_app.tables import table

TITLE = "Store now"
_INSTANTS = ("sampled_at", "current_since")


def store_now() -> None:
    """The page; read anew every `refresh` seconds."""
    st.title(TITLE)

    @st.fragment(run_every=opened().refresh)
    def look() -> None:
        try:
            with opened().reader() as reader:
                clicks, trucks = queries.clicks(reader, "item"), queries.trucks(reader)
        except MilepostError as error:
            st.error(f"The store {opened().store} cannot be read: {error}. Tried again every {opened().refresh} s.")
            return
        _clicks(clicks)
        _trucks(trucks)

    look()


def _clicks(counted: list[dict[str, Any]]) -> None:
    st.subheader("Clicks per item", help="`milepost clicks`: count is the sum of click_count per item and type.")
    if not counted:
        st.info(f"Nothing yet in {opened().store}.")
        return
    _bars([row for row in counted if row["event_type"] == "click"], "item_name", "count", "Clicks")
    _table(counted, {"count": "count"}, "store-clicks")
    st.download_button("CSV", partial(csv_file, counted), "clicks.csv", "text/csv", on_click="ignore")


def _trucks(found: list[dict[str, Any]]) -> None:
    st.subheader("Current trucks", help="`milepost trucks`: each truck's newest sample and current version.")
    if not found:
        st.info(f"Nothing yet in {opened().store}.")
        return
    shown = [
        {
            "truck_id": row["truck_id"],
            "sampled_at": row["latest"]["sampled_at"],
            "vehicle_speed": row["latest"].get("vehicle_speed"),
            "fuel_level": (row["latest"].get("engine_diagnostics") or {}).get("fuel_level"),
            "current_since": row["current"]["effective_start_date"],
        }
        for row in found
    ]
    _bars([row for row in shown if row["vehicle_speed"] is not None], "truck_id", "vehicle_speed", "Speed, km/h")
    _table(shown, {"vehicle_speed": "km/h", "fuel_level": "%"}, "store-trucks")
    st.download_button("CSV", partial(csv_file, shown), "trucks.csv", "text/csv", on_click="ignore")


def _table(found: list[dict[str, Any]], units: dict[str, Unit], key: str) -> None:
    columns = {column: st.column_config.Column(label(column, units.get(column, ""))) for column in found[0]}
    table(found, columns, key, instants=_INSTANTS)


def _bars(found: list[dict[str, Any]], name: str, value: str, title: str) -> None:
    most = sorted(found, key=lambda row: -row[value])[:25]
    data = [{"name": str(row[name]), "value": row[value]} for row in most]
    most_of_all = max([1.0, *(each["value"] for each in data)]) * 1.05
    st.altair_chart(
        alt.Chart(frame(data), height=bars_height({each["name"] for each in data}))
        .mark_bar(color=COLOURS[0])
        .encode(
            y=alt.Y("name:N", sort="-x", title=None),
            x=alt.X("value:Q", title=title, axis=alt.Axis(tickMinStep=1), scale=alt.Scale(domain=[0, most_of_all])),
            tooltip=["name:N", "value:Q"],
        ),
        width="stretch",
    )
