"""What every engine does with the models: which days to build, the statements, the audits."""

from collections.abc import Iterator, Mapping
from typing import Any

from contract.errors import MilepostError
from warehouse.rendering import FIRST, LAST, RenderedModel

_EVER = ("0001-01-01", "9999-12-31")


class AuditFailed(MilepostError):
    """Rows that break what a model promises: the build was undone, the marts are those of the build before."""


def statements(model: RenderedModel, days: frozenset[str] | None) -> Iterator[str]:
    """The statements that make a model's table.

    Args:
        model: in the engine's SQL.
        days: those to replace in a model by day; of them, and of none between them, the sources must then hold
            telemetry. None makes the table anew of all that the sources hold.
    """
    if not model.by_day or days is None:
        yield f"DROP TABLE IF EXISTS {model.name}"
        yield f"CREATE TABLE {model.name} AS {within(model.query, *_EVER)}"
    elif days:
        named = ", ".join(f"DATE '{day}'" for day in sorted(days))
        yield f"DELETE FROM {model.name} WHERE day IN ({named})"
        yield f"INSERT INTO {model.name} {within(model.query, min(days), max(days))}"


def audits(model: RenderedModel, days: frozenset[str] | None) -> Iterator[tuple[str, str]]:
    """Each audit's name and the query that must find no row: in a model by day from the first of `days` to the last."""
    first, last = (min(days), max(days)) if days and model.by_day else _EVER
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
