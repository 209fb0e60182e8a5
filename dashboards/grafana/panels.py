"""One panel as Grafana's JSON: its type, fields with unit and thresholds, description and links."""

from typing import Any

from dashboards.grafana.sources import SqlSource
from dashboards.panels import Measure, Panel, Unit

Json = dict[str, Any]
DATASOURCE = "${datasource}"
_UNITS: dict[Unit, str] = {
    "": "string", "count": "short", "km": "lengthkm", "km/h": "velocitykmh", "L": "litre",
    "L/100km": "suffix: L/100 km", "min": "m", "s": "s", "ratio": "percentunit", "money": "none", "price": "none",
    "%": "percent", "°C": "celsius", "psi": "pressurepsi", "V": "volt", "rpm": "rotrpm", "°": "degree", "days": "d",
}  # fmt: skip
_TYPES = {
    "stat": "stat",
    "line": "timeseries",
    "bar": "barchart",
    "table": "table",
    "map": "geomap",
    "funnel": "barchart",
}
_TABLES = ("heatmap", "flow")  # Grafana's heatmap is of buckets, and it has no Sankey: both are read as tables
_TIMES = ("day", "hour")


def sql_panel(panel: Panel, source: SqlSource, number: int, place: Json) -> Json:
    """A panel that asks a mart."""
    time_series = is_time_series(panel)
    kind = "timeseries" if time_series else _TYPES.get(panel.chart, "table")
    if panel.chart in _TABLES:
        kind = "table"
    where = {"type": source.type, "uid": DATASOURCE}
    target = {
        "refId": "A", "datasource": where, "format": "time_series" if time_series else "table",
        "rawSql": source.select(panel, time_series=time_series), "rawQuery": True, "editorMode": "code",
    }  # fmt: skip
    if source.key == "athena":
        target = {
            "refId": "A", "datasource": where, "format": 0 if time_series else 1,
            "rawSQL": source.select(panel, time_series=time_series),
            "connectionArgs": {"catalog": "__default", "database": "__default", "region": "__default"},
        }  # fmt: skip
    return {
        "id": number,
        "type": kind,
        "title": panel.title,
        "description": described(panel),
        "datasource": where,
        "gridPos": place,
        "targets": [target],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": [_override(each) for each in panel.measures]},
        "options": _options(panel, kind),
        "links": [],
    }


def is_time_series(panel: Panel) -> bool:
    """Whether the panel is drawn over time."""
    return panel.chart in ("line", "bar") and bool(set(panel.by) & set(_TIMES))


def described(panel: Panel) -> str:
    """What it shows, and under which names docs/metrics.md explains it. Its currency only the warehouse knows."""
    named = ", ".join(f"{panel.mart}.{each.column}" for each in panel.measures)
    money = " Amounts are in the warehouse's currency." * any(each.unit == "money" for each in panel.measures)
    return f"{panel.description}{money}\n\nMetrics (docs/metrics.md): {named}"


def console_link(truck: str) -> Json:
    """A data link to the truck in the console, as it was at the time clicked."""
    url = f"${{console}}/truck/{truck}?at=${{__value.time}}"
    return {"title": "This truck in the console", "url": url, "targetBlank": True}


def thresholds(measure: Measure | None) -> Json:
    """Green, and from the measure's own limit on orange; the other way round where low is bad."""
    good, bad = ("#0072B2", "#D55E00")
    if measure is None or measure.warn is None:
        return {"mode": "absolute", "steps": [{"color": good, "value": None}]}
    low, high = (bad, good) if measure.warn_below else (good, bad)
    return {"mode": "absolute", "steps": [{"color": low, "value": None}, {"color": high, "value": measure.warn}]}


def _defaults(panel: Panel) -> Json:
    first = next((each for each in panel.measures if each.unit), panel.measures[0])
    defaults: Json = {"unit": _UNITS[first.unit], "thresholds": thresholds(first), "noValue": "–"}
    if "truck_id" in panel.by and panel.chart == "map":
        defaults["links"] = [console_link("${__data.fields.truck_id}")]
    if is_time_series(panel):
        style = "bars" if panel.chart == "bar" else "line"
        defaults["custom"] = {"drawStyle": style, "fillOpacity": 60 if style == "bars" else 0, "spanNulls": False}
    return defaults


def _override(measure: Measure) -> Json:
    """The field of one measure: its own unit and limit."""
    properties: list[Json] = [{"id": "unit", "value": _UNITS[measure.unit]}]
    if measure.warn is not None:
        properties.append({"id": "thresholds", "value": thresholds(measure)})
        properties.append({"id": "custom.cellOptions", "value": {"type": "color-text"}})
    return {"matcher": {"id": "byRegexp", "options": f"/^{measure.result}( .*)?$/"}, "properties": properties}


def _options(panel: Panel, kind: str) -> Json:
    if kind == "stat":
        reduced = {"calcs": ["lastNotNull"], "fields": "/.*/", "values": False}
        return {"reduceOptions": reduced, "colorMode": "value", "graphMode": "none", "textMode": "value_and_name"}
    if kind == "timeseries":
        legend = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}
        return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    if kind == "barchart":
        name = "item_name" if "item_name" in panel.columns else panel.by[0]
        return {
            "orientation": "horizontal", "xField": name, "showValue": "auto", "stacking": "none",
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "none"},
        }  # fmt: skip
    if kind == "geomap":
        latitude = next(each.column for each in panel.measures if "latitude" in each.column)
        at = {"mode": "coords", "latitude": latitude, "longitude": latitude.replace("latitude", "longitude")}
        style = {"size": {"fixed": 8}, "color": {"fixed": "#D55E00"}, "opacity": 0.8}
        layer = {"type": "markers", "name": panel.title, "location": at, "config": {"style": style}, "tooltip": True}
        return {
            "view": {"id": "fit", "allLayers": True, "lat": 0, "lon": 0, "zoom": 4},
            "basemap": {"type": "default", "name": "Basemap"},
            "controls": {"showZoom": True, "showAttribution": True, "mouseWheelZoom": True},
            "tooltip": {"mode": "details"},
            "layers": [layer],
        }  # fmt: skip
    return {"showHeader": True, "cellHeight": "sm"}
