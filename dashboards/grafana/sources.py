"""The data sources of Grafana that a panel can be asked through, each with its own macros."""

from dataclasses import dataclass

from dashboards.panels import Panel
from dashboards.panels.sql import quoted, render


@dataclass(frozen=True, slots=True)
class SqlSource:
    """A data source that takes SQL.

    key: part of file names and uids. type: Grafana's plugin. within: (of a date, of a timestamp): the macro that
    keeps rows of the time range, `{column}` the column.
    """

    key: str
    title: str
    type: str
    within_date: str
    within_timestamp: str

    def select(self, panel: Panel, *, time_series: bool) -> str:
        """The panel's SELECT with the source's macros and the dashboard's variables."""
        chosen = []
        if panel.time:
            column, kind = panel.time
            macro = self.within_date if kind == "date" else self.within_timestamp
            chosen.append(macro.replace("{column}", quoted(column)))
        for name in panel.filters:
            if variable := VARIABLES.get(name):
                picked = f"${{{variable}:sqlstring}}"
                chosen.append(f"({ALL} IN ({picked}) OR {quoted(name)} IN ({picked}))")
        return render(panel, chosen, time_name="time" if time_series else None)


VARIABLES = {"truck_id": "truck", "item_id": "item"}
"""The filter → the dashboard's variable."""

ALL = "'__all__'"
"""What stands for "All" in the SQL: so rows without a truck or an item, as orders not yet loaded, are there too."""

POSTGRESQL = SqlSource(
    "postgresql", "PostgreSQL", "grafana-postgresql-datasource",
    "{column} BETWEEN CAST($__timeFrom() AS date) AND CAST($__timeTo() AS date)", "$__timeFilter({column})",
)  # fmt: skip
ATHENA = SqlSource(
    "athena", "Athena", "grafana-athena-datasource", "$__dateFilter({column})", "$__timeFilter({column})",
)  # fmt: skip
