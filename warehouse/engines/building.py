"""What every engine does with the models: which days to build, the statements, the audits."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from typing import Any

from contract.errors import MilepostError
from warehouse.rendering import FIRST, LAST, RenderedModel


class AuditFailed(MilepostError):
    """Rows that break what a model promises: the build was undone, the marts are those of the build before."""


def ranges(days: Iterable[str]) -> list[tuple[str, str]]:
    """Stretches of days without a gap, first and last, in order."""
    found: list[tuple[str, str]] = []
    for day in sorted(set(days)):
        if found and date.fromisoformat(found[-1][1]) + timedelta(days=1) == date.fromisoformat(day):
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


def statements(model: RenderedModel, days: frozenset[str] | None) -> Iterator[str]:
    """The statements that make a model's table.

    days: those to replace in a model by day; None makes every table anew.
    """
    if not model.by_day or days is None:
        yield f"DROP TABLE IF EXISTS {model.name}"
        yield f"CREATE TABLE {model.name} AS {within(model.query, '0001-01-01', '9999-12-31')}"
        return
    for first, last in ranges(days):
        yield f"DELETE FROM {model.name} WHERE day BETWEEN DATE '{first}' AND DATE '{last}'"
        yield f"INSERT INTO {model.name} {within(model.query, first, last)}"


def audits(model: RenderedModel, days: frozenset[str] | None) -> Iterator[tuple[str, str]]:
    """Each audit's name and the query that must find no row, over what was built."""
    built = [("0001-01-01", "9999-12-31")] if days is None or not model.by_day else ranges(days)
    for first, last in built:
        for name, query in model.audits.items():
            yield name, within(query, first, last)


def counted(audit: str) -> str:
    """How many rows the query of an audit finds."""
    return f"SELECT count(*) FROM ({audit}) AS bad"


def example(audit: str) -> str:
    """One of these rows."""
    return f"SELECT * FROM ({audit}) AS bad LIMIT 1"


def failed(model: RenderedModel, audit: str, count: int, row: Mapping[str, Any]) -> AuditFailed:
    """The error of an audit that found rows, with one of them."""
    shown = ", ".join(f"{name} {value}" for name, value in row.items() if value is not None)
    return AuditFailed(f"{model.name}: {count} rows break {audit}, such as {shown:.400}; the marts stay as they were")


def within(query: str, first: str, last: str) -> str:
    """A query of a model by day, for these days."""
    return query.replace(FIRST, first).replace(LAST, last)
