"""Grafana's files as Grafana reads them: macros expanded and variables filled in."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dashboards.grafana.generate import FOLDER
from dashboards.panels import Panel
from dashboards.panels.sql import Choice
from dashboards.panels.views import PANELS
from tests.dashboards.panel_table import Shown

_VARIABLE = re.compile(r"\$\{(\w+):sqlstring\}")


def documents(key: str, folder: Path = FOLDER / "dashboards") -> dict[Path, dict[str, Any]]:
    """The dashboards for one data source."""
    return {path: json.loads(path.read_text()) for path in sorted((folder / key).glob("*.json"))}


def expanded(sql: str, choice: Choice, variables: Mapping[str, Any], *, athena: bool = False) -> str:
    """The SQL that Grafana sends for the time range of whole UTC days.

    variables: name → its variable in the dashboard, whose `allValue` stands for all where nothing is chosen.
    """
    assert choice.first is not None
    assert choice.last is not None
    first, last = f"{choice.first}T00:00:00Z", f"{choice.last}T23:59:59Z"
    if athena:
        text = "{0} BETWEEN TIMESTAMP '{1} 00:00:00' AND TIMESTAMP '{2} 23:59:59'"
        sql = re.sub(r"\$__timeFilter\(([^)]*)\)", lambda m: text.format(m[1], choice.first, choice.last), sql)
        text = "{0} BETWEEN date '{1}' AND date '{2}'"
        sql = re.sub(r"\$__dateFilter\(([^)]*)\)", lambda m: text.format(m[1], choice.first, choice.last), sql)
    else:
        sql = re.sub(r"\$__timeFilter\(([^)]*)\)", lambda m: f"{m[1]} BETWEEN '{first}' AND '{last}'", sql)
        sql = sql.replace("$__timeFrom()", f"'{first}'").replace("$__timeTo()", f"'{last}'")
    return _VARIABLE.sub(lambda m: _filled(choice.values.get(f"{m[1]}_id"), variables[m[1]]), sql)


def _filled(values: Sequence[str] | None, variable: Mapping[str, Any]) -> str:
    return ",".join(f"'{value}'" for value in values) if values else str(variable["allValue"])


def shown(key: str, choice: Choice, *, leave_out: str = "", folder: Path = FOLDER / "dashboards") -> Iterator[Shown]:
    """Every panel of the dashboards for one data source, as it is asked."""
    for path, document in documents(key, folder).items():
        if path.stem == leave_out:
            continue
        variables = {each["name"]: each for each in document["templating"]["list"]}
        for panel in document["panels"]:
            if panel["type"] == "row":
                continue
            target = panel["targets"][0]
            sql = expanded(target.get("rawSql") or target["rawSQL"], choice, variables, athena=key == "athena")
            ours = panel_of(panel)
            rename = {"time": ours.time[0]} if ours.time else {}
            yield Shown(f"Grafana {key}", path.stem, ours, sql, choice, rename)


def panel_of(document: Mapping[str, Any]) -> Panel:
    """The panel of ours that the document says it is: by its title and the metrics it names."""
    named = set(document["description"].rpartition(": ")[2].split(", "))
    for panel in PANELS.values():
        if panel.title == document["title"] and {f"{panel.mart}.{each.column}" for each in panel.measures} == named:
            return panel
    raise AssertionError(f"{document['title']}: no panel names {named}")
