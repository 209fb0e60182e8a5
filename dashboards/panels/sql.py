"""A panel as SQL that DuckDB, PostgreSQL, Athena and Snowflake read alike."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from dashboards.panels import Condition, Measure, Panel


@dataclass(frozen=True, slots=True)
class Choice:
    """What the reader of a page chose: a period, first and last day included, and values of filters (none: all)."""

    first: date | None = None
    last: date | None = None
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)


def literal(value: str | bool) -> str:
    """A value as an SQL literal."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return "'" + value.replace("'", "''") + "'"


def select(panel: Panel, choice: Choice | None = None) -> str:
    """The panel's SELECT for what was chosen."""
    return render(panel, conditions(panel, choice or Choice()))


def select_page(panel: Panel, choice: Choice, size: int, number: int) -> str:
    """Rows of the panel's SELECT, in an order in which none stands on two pages.

    Args:
        panel: what to select; `by` names its rows.
        choice: what was chosen.
        size: rows of a page.
        number: of the page, from 1.
    """
    named = {column.removeprefix("-") for column in panel.order}
    ordered = replace(panel, most=None, order=(*panel.order, *(each for each in panel.by if each not in named)))
    before = (number - 1) * size
    rows = size if panel.most is None else max(0, min(size, panel.most - before))
    return f"{select(ordered, choice)}\nLIMIT {rows} OFFSET {before}"


def select_count(panel: Panel, choice: Choice) -> str:
    """How many rows the panel's SELECT has, as `found`."""
    return f"SELECT COUNT(*) AS found FROM ({select(replace(panel, order=()), choice)}) AS panel"


def conditions(panel: Panel, choice: Choice) -> list[str]:
    """The period and the filters that were chosen, as SQL."""
    found = []
    if panel.time and choice.first and choice.last:
        column, kind = panel.time
        if kind == "date":
            found.append(f"{column} BETWEEN DATE '{choice.first}' AND DATE '{choice.last}'")
        else:
            after = choice.last + timedelta(days=1)
            found.append(f"{quoted(column)} >= TIMESTAMP '{choice.first} 00:00:00'")
            found.append(f"{quoted(column)} < TIMESTAMP '{after} 00:00:00'")
    for column in panel.filters:
        if chosen := choice.values.get(column):
            found.append(f"{quoted(column)} IN ({', '.join(literal(value) for value in chosen)})")
    return found


def render(panel: Panel, chosen: Sequence[str], *, time_name: str | None = None) -> str:
    """The panel's SELECT under conditions that are SQL already.

    Args:
        panel: what to select.
        chosen: conditions for the period and the filters.
        time_name: give the panel's time column this name, as a timestamp; where it is one of `by`.
    """
    where = [*chosen, *(_condition(each) for each in panel.where)]
    filtered = f"FROM {_rows_of(panel)}" + (f"\nWHERE {' AND '.join(where)}" if where else "")
    if panel.newest:
        key, at = map(quoted, panel.newest)
        rank = f"ROW_NUMBER() OVER (PARTITION BY {key} ORDER BY {at} DESC) AS nth"
        filtered = f"FROM (SELECT {panel.mart}.*, {rank} {' '.join(filtered.split())}) AS ranked\nWHERE nth = 1"
    named = [*(_named(panel, column, time_name) for column in panel.by), *(_measured(each) for each in panel.measures)]
    lines = [f"SELECT {', '.join(named)}", filtered]
    if panel.combined and panel.by:
        lines.append(f"GROUP BY {', '.join(map(quoted, panel.by))}")
    if panel.order:
        lines.append(f"ORDER BY {', '.join(_ordered(panel, column, time_name) for column in panel.order)}")
    if panel.most:
        lines.append(f"LIMIT {panel.most}")
    return "\n".join(lines)


def _rows_of(panel: Panel) -> str:
    """The mart, or its rows with the column that stands beside them, under the mart's own name."""
    if panel.beside is None:
        return panel.mart
    mart, column, key, own_key = panel.beside.mart, panel.beside.column, panel.beside.key, panel.beside.own_key
    one = f"SELECT {key}, MAX({column}) AS {column} FROM {mart} GROUP BY {key}"
    joined = f"{panel.mart} LEFT JOIN ({one}) AS beside ON beside.{key} = {panel.mart}.{own_key}"
    return f"(SELECT {panel.mart}.*, beside.{column} FROM {joined}) AS {panel.mart}"


_TOKENS = re.compile(r"""'(?:[^']|'')*'|"[a-z_]+\"""")


def for_snowflake(sql: str) -> str:
    """The same SELECT for Snowflake, whose names without quotes are upper case: so must those in quotes be.

    Args:
        sql: of this module.
    """
    return _TOKENS.sub(lambda found: found[0] if found[0].startswith("'") else found[0].upper(), sql)


def quoted(column: str) -> str:
    """A column's name; those that are words of SQL in quotes."""
    return f'"{column}"' if column in {"at", "day", "hour", "time", "value", "rows", "to", "from"} else column


def _condition(condition: Condition) -> str:
    if condition.value is None:
        return f"{quoted(condition.column)} IS NOT NULL"
    return f"{quoted(condition.column)} = {literal(condition.value)}"


def _named(panel: Panel, column: str, time_name: str | None) -> str:
    if time_name and panel.time and column == panel.time[0]:
        return f"CAST({quoted(column)} AS timestamp) AS {quoted(time_name)}"
    return quoted(column)


def _measured(measure: Measure) -> str:
    column = quoted(measure.column)
    if measure.how == "value":
        made = column
    elif measure.how == "mean":
        made = f"AVG({column})"
        if measure.weight:
            weight = quoted(measure.weight)
            made = f"SUM({column} * {weight}) / NULLIF(SUM(CASE WHEN {column} IS NOT NULL THEN {weight} END), 0)"
    else:
        made = f"{measure.how.upper()}({column})"
    return made if made == quoted(measure.result) else f"{made} AS {quoted(measure.result)}"


def _ordered(panel: Panel, column: str, time_name: str | None) -> str:
    name = column.removeprefix("-")
    if time_name and panel.time and name == panel.time[0] and name in panel.by:
        name = time_name
    return quoted(name) + (" DESC NULLS LAST" if column.startswith("-") else "")
