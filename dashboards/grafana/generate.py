"""Writes dashboards/grafana/dashboards/*.json and provisioning/alerting/milepost.yaml from the panels.

`python -m dashboards.grafana.generate`; a test fails where the files are not what this writes.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from dashboards.grafana.alerting import alert_rules
from dashboards.grafana.panels import DATASOURCE, is_time_series, sql_panel
from dashboards.grafana.service import CLOUD, CLOUDWATCH, PROMETHEUS, SERVICE, cloudwatch_panel, service_panel
from dashboards.grafana.sources import ALL, ATHENA, POSTGRESQL, SqlSource
from dashboards.panels import Panel
from dashboards.panels.views import GRAFANA, PANELS

Json = dict[str, Any]
FOLDER = Path(__file__).parent
_WIDE = ("stat", "table", "map", "flow", "heatmap")
_HEIGHT = {"stat": 4, "map": 14}
_VARIABLE_SQL = {
    "truck": "SELECT DISTINCT truck_id FROM truck_day ORDER BY truck_id",
    "item": "SELECT item_id FROM item ORDER BY item_id",
}
_NAMES = {"athena": "Athena", "cloudwatch": "CloudWatch"}


def files() -> dict[str, str]:
    """Path under this folder → its text."""
    made = {}
    for source in (POSTGRESQL, ATHENA):
        for title, names in GRAFANA.items():
            made[f"dashboards/{source.key}/{_slug(title)}.json"] = _text(sql_dashboard(title, names, source))
    made["dashboards/prometheus/milepost-service.json"] = _text(
        _dashboard("Milepost service", PROMETHEUS, _numbered(SERVICE, service_panel), [], [_firing(), _deploys()])
    )
    made["dashboards/cloudwatch/pipeline.json"] = _text(
        _dashboard("Pipeline", CLOUDWATCH, _numbered(CLOUD, cloudwatch_panel), [], [])
    )
    made["provisioning/alerting/milepost.yaml"] = alert_rules()
    return made


def write() -> None:
    """Write every file."""
    for name, text in files().items():
        (FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
        (FOLDER / name).write_text(text, encoding="utf-8")


def _text(document: Json) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _slug(title: str) -> str:
    return title.lower().replace(" ", "-")


def sql_dashboard(title: str, names: Sequence[str], source: SqlSource) -> Json:
    """A dashboard over the marts; Truck repeats its row for each truck chosen."""
    panels = [PANELS[name] for name in names]
    variables = [name for name in _VARIABLE_SQL if any(_uses(panel, name) for panel in panels)]
    placed = list(_placed(panels, source, first_row=1 if title == "Truck" else 0))
    if title == "Truck":
        row = {"id": 1000, "type": "row", "title": "$truck", "collapsed": False, "panels": [], "repeat": "truck"}
        placed = [{**row, "gridPos": {"h": 1, "w": 24, "x": 0, "y": 0}}, *placed]
    filters = [_query_variable(name, source, one=title == "Truck") for name in variables]
    return _dashboard(title, source.type, placed, [*filters, _console()], [_due(source), _builds(source)], source)


def _uses(panel: Panel, variable: str) -> bool:
    return f"{variable}_id" in panel.filters


def _placed(panels: Iterable[Panel], source: SqlSource, *, first_row: int) -> Iterator[Json]:
    """Figures, tables and maps over the whole width, charts two in a row."""
    x, y, high = 0, first_row, 0
    for number, panel in enumerate(panels, start=1):
        wide = panel.chart in _WIDE and not is_time_series(panel)
        height = _HEIGHT.get(panel.chart, 9)
        if wide and x:
            x, y = 0, y + high
        yield sql_panel(panel, source, number, {"h": height, "w": 24 if wide else 12, "x": x, "y": y})
        high = height
        x, y = (0, y + height) if wide or x else (12, y)


def _numbered(panels: Iterable[Any], make: Callable[[Any, int, Json], Json]) -> list[Json]:
    return [
        make(panel, number + 1, {"h": 8, "w": 12, "x": 12 * (number % 2), "y": 8 * (number // 2)})
        for number, panel in enumerate(panels)
    ]


def _dashboard(  # noqa: PLR0913 - the parts of one document
    title: str,
    kind: str,
    panels: list[Json],
    variables: list[Json],
    annotations: list[Json],
    source: SqlSource | None = None,
) -> Json:
    key = source.key if source else kind
    built_in = {
        "name": "Annotations & Alerts", "builtIn": 1, "enable": True, "hide": True, "type": "dashboard",
        "iconColor": "rgba(0, 211, 255, 1)", "datasource": {"type": "grafana", "uid": "-- Grafana --"},
    }  # fmt: skip
    choose = {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": kind,
        "hide": 0,
        "refresh": 1,
    }
    return {
        "uid": f"milepost-{_slug(title).removeprefix('milepost-')}-{key}",
        "title": title if key in ("postgresql", "prometheus") else f"{title} ({_NAMES[key]})",
        "tags": ["milepost", key],
        "timezone": "browser",
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "1m",
        "time": {"from": "now-6h" if key in (PROMETHEUS, CLOUDWATCH) else "now-30d", "to": "now"},
        "templating": {"list": [choose, *variables]},
        "annotations": {"list": [built_in, *annotations]},
        "links": [
            {
                "title": "Milepost", "type": "dashboards", "tags": ["milepost", key], "asDropdown": True,
                "includeVars": True, "keepTime": True, "icon": "external link", "tooltip": "", "targetBlank": False,
                "url": "",
            }
        ],
        "panels": panels,
    }  # fmt: skip


def _query_variable(name: str, source: SqlSource, *, one: bool) -> Json:
    sql: Any = _VARIABLE_SQL[name]
    if source is ATHENA:
        args = {"catalog": "__default", "database": "__default", "region": "__default"}
        sql = {"refId": "variable", "rawSQL": sql, "format": 1, "connectionArgs": args}
    several: Json = {"multi": True} if one else {"multi": True, "includeAll": True, "allValue": ALL}
    first: Json = {} if one else {"current": {"text": "All", "value": "$__all"}}
    return {
        "name": name, "label": name.capitalize(), "type": "query", "query": sql, "refresh": 2, "sort": 1, "hide": 0,
        "datasource": {"type": source.type, "uid": DATASOURCE}, **several, **first,
    }  # fmt: skip


def _console() -> Json:
    address = "http://127.0.0.1:8080"
    current = {"text": address, "value": address}
    return {"name": "console", "label": "Console", "type": "textbox", "query": address, "current": current, "hide": 0}


def _due(source: SqlSource) -> Json:
    within = source.within_timestamp.replace("{column}", "since")
    said = "truck_id || ' ' || item || ': ' || reason AS text, item AS tags"
    sql = f'SELECT since AS "time", {said} FROM maintenance_due WHERE {within}'
    return _annotation("Due", "#D55E00", source, sql)


def _builds(source: SqlSource) -> Json:
    within = source.within_timestamp.replace("{column}", "run_at")
    sql = f"SELECT DISTINCT run_at AS \"time\", 'marts built' AS text FROM quality_run WHERE {within}"
    return _annotation("Builds", "#0072B2", source, sql)


def _annotation(name: str, colour: str, source: SqlSource, sql: str) -> Json:
    key = "rawSQL" if source is ATHENA else "rawSql"
    return {
        "name": name, "enable": True, "iconColor": colour, "datasource": {"type": source.type, "uid": DATASOURCE},
        "target": {"refId": "Anno", key: sql, "format": 1 if source is ATHENA else "table", "rawQuery": True},
    }  # fmt: skip


def _firing() -> Json:
    return _event("Alerts", "#D55E00", 'ALERTS{alertstate="firing",alertname=~"Milepost.*"}', "{{alertname}}")


def _deploys() -> Json:
    return _event("Deploys", "#0072B2", "changes(milepost_started_timestamp_seconds[2m]) > 0", "Milepost was started")


def _event(name: str, colour: str, expr: str, title: str) -> Json:
    where = {"type": PROMETHEUS, "uid": DATASOURCE}
    return {
        "name": name, "enable": True, "iconColor": colour, "datasource": where, "expr": expr, "titleFormat": title,
        "step": "60s",
    }  # fmt: skip


if __name__ == "__main__":
    write()
