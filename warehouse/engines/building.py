"""What every engine does with the models: which days to build, the statements, the audits."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from contract.errors import MilepostError
from warehouse.engines import LakeView, Rows
from warehouse.rendering import FIRST, LAST, RenderedModel, kept
from warehouse.sources import BUILT

_EVER = ("0001-01-01", "9999-12-31")
_STOPPED = "not_stopped"
_RAW = re.compile(r"\braw_(\w+)")


@dataclass(frozen=True, slots=True)
class Stale:
    """The models whose rows may differ from those of the build before, by name.

    part: of which those of the days that the lake wrote, or from the first of them on, differ. whole: the others.
    """

    part: frozenset[str]
    whole: frozenset[str]


def stale(made: Sequence[RenderedModel], lake: LakeView) -> Stale:
    """Which models a build makes anew: those that read, at any remove, what the lake wrote since.

    Args:
        made: all models, in DuckDB's SQL, each after those that it reads.
        lake: the build to make them of.

    Returns:
        Every model, and none in part, where nothing is known of the build before.
    """
    if lake.changed is None:
        return Stale(frozenset(), frozenset(model.name for model in made))
    part: set[str] = set()
    whole = {f"lake.{BUILT}"}
    for name, query in lake.sources.items():
        written = {table for table in _RAW.findall(query) if lake.changed[table]}
        if written:
            (part if written == {"telemetry"} else whole).add(f"lake.{name}")
    for model in made:
        if (model.by_day or model.tail) and model.reads & part and not model.reads & whole:
            part.add(model.name)
        elif model.reads & (part | whole):
            whole.add(model.name)
    if any(model.tail for model in made if model.name in whole):  # then no row of a truck is held to stay
        moved = {model.name for model in made if model.tail and model.name in part}
        part, whole = part - moved, whole | moved
    return Stale(frozenset(part), frozenset(whole))


class AuditFailed(MilepostError):
    """Rows that break what a model promises: the build was undone, the marts are those of the build before."""


class QualityStopped(AuditFailed):
    """A quality rule with the action `stop` is broken.

    Args:
        text: which one, with the rows that it found.
        run: the rows of mart `quality_run` in the build that was undone.
    """

    def __init__(self, text: str, run: Rows) -> None:
        super().__init__(text)
        self.run = run


def statements(model: RenderedModel, days: frozenset[str] | None) -> Iterator[str]:
    """The statements that make a model's table.

    Args:
        model: in the engine's SQL.
        days: those to replace in a model by day; of them, and of none between them, the sources must then hold
            telemetry. In a model with a tail the first of them counts. None makes the table anew of all that the
            sources hold.
    """
    if days is None or model.tail == "all" or not (model.by_day or model.tail):
        yield f"DROP TABLE IF EXISTS {model.name}"
        yield f"CREATE TABLE {model.name} AS {_rows(model, *_built(model, days))}"
    elif days:
        first, last = _built(model, days)
        if model.by_day:
            named = ", ".join(f"DATE '{day}'" for day in sorted(days))
            yield f"DELETE FROM {model.name} WHERE day IN ({named})"
        elif model.tail == "day":
            yield f"DELETE FROM {model.name} WHERE day >= DATE '{first}'"
        else:
            yield f"DELETE FROM {model.name} WHERE NOT {kept(model.name, model.tail)}"
        yield f"INSERT INTO {model.name} {_rows(model, first, last)}"


def audits(model: RenderedModel, days: frozenset[str] | None) -> Iterator[tuple[str, str]]:
    """Each audit's name and the query that must find no row, among those that `statements` made for these days."""
    for name, query in model.audits.items():
        yield name, within(query, *_built(model, days))


def _rows(model: RenderedModel, first: str, last: str) -> str:
    """What is built, in a mart the rows of one truck or item beside each other: who asks for one reads few blocks."""
    query = within(model.query, first, last)
    if not model.name.startswith("marts.") or not model.grain:
        return query
    grain = ", ".join(f'"{column}"' for column in model.grain)
    return f"SELECT * FROM ({query}) AS made ORDER BY {grain}"


def _built(model: RenderedModel, days: frozenset[str] | None) -> tuple[str, str]:
    if not days or not (model.by_day or model.tail):
        return _EVER
    return min(days), max(days) if model.by_day else _EVER[1]


def audit(model: RenderedModel, days: frozenset[str] | None, rows: Callable[[str], Rows]) -> None:
    """Look at what `statements` made for these days.

    Args:
        model: in the engine's SQL.
        days: as `statements` takes them.
        rows: runs a query in the transaction of the build.

    Raises:
        AuditFailed: with one of the rows that an audit found; QualityStopped where it is of a quality rule.
    """
    for name, query in audits(model, days):
        [counted] = rows(f"SELECT count(*) AS bad FROM ({query}) AS bad")
        if counted["bad"]:
            [row] = rows(f"SELECT * FROM ({query}) AS bad LIMIT 1")
            shown = ", ".join(f"{column} {value}" for column, value in row.items() if value is not None)
            text = (
                f"{model.name}: {counted['bad']} rows break {name}, such as {shown:.400}; the marts stay as they were"
            )
            if name == _STOPPED:
                raise QualityStopped(text, rows(f"SELECT * FROM {model.name}"))
            raise AuditFailed(text)


def within(query: str, first: str, last: str) -> str:
    """A query of a model by day, for these days."""
    return query.replace(FIRST, first).replace(LAST, last)
