"""Positions on the map that ships with Milepost: land and borders from this server, no tile of anybody else's."""

import json
import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import pydeck

from dashboards.streamlit_app.formats import minutes
from dashboards.streamlit_app.server import console_file

Rows = Sequence[dict[str, Any]]
_TRUCK, _STOP = [213, 94, 0, 230], [0, 114, 178, 140]


def fleet_map(positions: Rows, stops: Rows) -> pydeck.Deck:
    """Where the trucks are, and where they stood, each stop as large as its minutes of idling."""
    places = [(row["end_longitude"], row["end_latitude"]) for row in positions]
    places += [(row["longitude"], row["latitude"]) for row in stops]
    west, east = min(x for x, _ in places), max(x for x, _ in places)
    south, north = min(y for _, y in places), max(y for _, y in places)
    span = max(east - west, (north - south) * 1.6, 0.02)
    view = pydeck.ViewState(
        longitude=(west + east) / 2, latitude=(south + north) / 2, zoom=min(12.0, math.log2(360 / span) - 0.3)
    )
    trucks = [
        {
            "at": [row["end_longitude"], row["end_latitude"]],
            "name": row["truck_id"],
            "said": f"last trip ended {minutes(row['trip_end'])}",
        }
        for row in positions
    ]
    rests = [
        {
            "at": [row["longitude"], row["latitude"]],
            "name": row["truck_id"],
            "radius": 4 + min(row["idle_min"] or 0, 60) / 4,
            "said": f"stopped {minutes(row['stop_start'])}, engine on for {row['idle_min'] or 0:.0f} min",
        }
        for row in stops
    ]
    layers = [
        pydeck.Layer("GeoJsonLayer", "/basemap/land.geojson", get_fill_color=[238, 236, 228], stroked=False),
        pydeck.Layer(
            "GeoJsonLayer", "/basemap/borders.geojson", get_line_color=[150, 150, 150], line_width_min_pixels=1,
            filled=False,
        ),
        _cities(west, south, east, north),
        pydeck.Layer(
            "ScatterplotLayer", rests, get_position="at", get_fill_color=_STOP, get_radius="radius",
            radius_units="'pixels'", pickable=True,
        ),
        pydeck.Layer(
            "ScatterplotLayer", trucks, get_position="at", get_fill_color=_TRUCK, get_radius=7, radius_units="'pixels'",
            stroked=True, get_line_color=[255, 255, 255], line_width_min_pixels=2, pickable=True,
        ),
    ]  # fmt: skip
    deck = pydeck.Deck(
        layers=layers, initial_view_state=view, map_provider=None, map_style=None, tooltip={"text": "{name}\n{said}"}
    )  # fmt: skip
    deck.map_style = "/basemap/style.json"  # without any, Streamlit asks a provider of tiles
    return deck


def _cities(west: float, south: float, east: float, north: float) -> pydeck.Layer:
    """The names of the largest places around, for bearings."""
    margin = max(0.5, (east - west) / 2, (north - south) / 2)
    near = [
        {"at": [x, y], "name": name}
        for name, x, y, _ in _places()
        if west - margin <= x <= east + margin and south - margin <= y <= north + margin
    ]
    return pydeck.Layer(
        "TextLayer", near[:40], get_position="at", get_text="name", get_size=12, get_color=[90, 90, 90],
        character_set="'auto'",
    )  # fmt: skip


@cache
def _places() -> list[tuple[str, float, float, int]]:
    """Largest first."""
    found: list[tuple[str, float, float, int]] = json.loads(
        console_file("basemap/cities.json").read_text(encoding="utf-8")
    )
    return found
