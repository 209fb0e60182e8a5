"""What a panel must show, worked out in plain Python from the mart's rows: the other half of a panel's SQL."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from dashboards.panels import Measure, Panel
from dashboards.panels.sql import Choice

Row = Mapping[str, Any]


def expected(panel: Panel, rows: Sequence[Row], choice: Choice) -> list[dict[str, Any]]:
    """The panel's rows, unordered and not cut off."""
    kept = [row for row in rows if _applies(panel, row, choice)]
    if panel.newest:
        key, at = panel.newest
        newest: dict[Any, Row] = {}
        for row in kept:
            if row[key] not in newest or row[at] > newest[row[key]][at]:
                newest[row[key]] = row
        kept = list(newest.values())
    if not panel.combined:
        return [{**_named(panel, row), **{each.result: row[each.column] for each in panel.measures}} for row in kept]
    groups: dict[tuple[Any, ...], list[Row]] = {} if panel.by else {(): []}
    for row in kept:
        groups.setdefault(tuple(row[column] for column in panel.by), []).append(row)
    return [
        {
            **dict(zip(panel.by, key, strict=True)),
            **{each.result: _HOW[each.how](each, group) for each in panel.measures},
        }
        for key, group in groups.items()
    ]


def with_beside(panel: Panel, rows: Sequence[Row], others: Sequence[Row]) -> list[Row]:
    """The mart's rows, each with the column that the panel takes from the other mart's."""
    beside = panel.beside
    assert beside is not None
    told = {row[beside.key]: row[beside.column] for row in others}
    return [{**row, beside.column: told.get(row[beside.own_key])} for row in rows]


def _named(panel: Panel, row: Row) -> dict[str, Any]:
    return {column: row[column] for column in panel.by}


def _applies(panel: Panel, row: Row, choice: Choice) -> bool:
    if panel.time and choice.first and choice.last:
        day = date.fromisoformat(str(row[panel.time[0]])[:10])
        if not choice.first <= day < choice.last + timedelta(days=1):
            return False
    for column in panel.filters:
        if choice.values.get(column) and row[column] not in choice.values[column]:
            return False
    for each in panel.where:
        if row[each.column] is None or (each.value is not None and row[each.column] != each.value):
            return False
    return True


def _known(measure: Measure, rows: Sequence[Row]) -> list[Any]:
    return [row[measure.column] for row in rows if row[measure.column] is not None]


def _mean(measure: Measure, rows: Sequence[Row]) -> float | None:
    pairs = [
        (row[measure.column], row[measure.weight] if measure.weight else 1)
        for row in rows
        if row[measure.column] is not None
    ]
    weight = sum(each for _, each in pairs)
    return sum(value * each for value, each in pairs) / weight if weight else None


_HOW: dict[str, Callable[[Measure, Sequence[Row]], Any]] = {
    "sum": lambda measure, rows: sum(known) if (known := _known(measure, rows)) else None,
    "min": lambda measure, rows: min(_known(measure, rows), default=None),
    "max": lambda measure, rows: max(_known(measure, rows), default=None),
    "count": lambda measure, rows: len(_known(measure, rows)),
    "mean": _mean,
    "value": lambda measure, rows: rows[0][measure.column] if len(rows) == 1 else f"{len(rows)} rows",
}


def difference(shown: Sequence[Row], wanted: Sequence[Row], panel: Panel) -> str | None:
    """The first difference between what is shown and what the mart says; None where there is none.

    Only as many rows are demanded as the panel shows at most; each of those must be one of the mart's.
    """
    if len(shown) != min(len(wanted), panel.most or len(wanted)):
        return f"{len(shown)} rows instead of {min(len(wanted), panel.most or len(wanted))}"
    by_key = {tuple(str(row[column]) for column in panel.by): row for row in wanted}
    for row in shown:
        key = tuple(str(row[column]) for column in panel.by)
        if key not in by_key:
            return f"a row for {key} that the mart does not have"
        for name, value in by_key[key].items():
            if not _same(row[name], value):
                return f"{key} {name}: {row[name]!r} instead of {value!r}"
    return None


def _same(one: Any, other: Any) -> bool:
    numbers = isinstance(one, int | float) and isinstance(other, int | float)
    if numbers and not isinstance(one, bool):
        return bool(abs(one - other) <= 1e-9 * max(1.0, abs(other)))
    return bool(one == other)
