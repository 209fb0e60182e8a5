"""The models as SQL of one engine: SQLMesh loads and renders the project, and what it renders is kept in `rendered/`.

`python -m warehouse.rendering` writes one JSON file per engine; a test fails where they are not those of the models.
So a warehouse is built without SQLMesh (380 MB, seconds to import), by the very SQL that SQLMesh runs.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from contract.operational_metrics import operational_metrics
from contract.thresholds import thresholds

Model = Any
"""sqlmesh.core.model.SqlModel; named so since SQLMesh is imported only where the project is rendered."""

PROJECT = Path(__file__).parent / "models"
RENDERED = Path(__file__).parent / "rendered"
METRICS = Path(__file__).parent.parent / "docs" / "metrics.md"
DIALECTS = {
    "duckdb": "duckdb",
    "postgresql": "postgres",
    "athena": "athena",
    "snowflake": "snowflake",
    "spark": "spark",
}
"""Engine → sqlglot's name of its SQL."""

FIRST, LAST = "1111-11-11", "2222-02-22"
"""What stands in an incremental query for the first and the last day to build."""


@dataclass(frozen=True, slots=True)
class RenderedModel:
    """A model in one engine's SQL.

    name: `schema.table`. by_day: rows of a day depend on the lake's rows of that day alone, and are replaced by day.
    tail: of a model whose rows of a truck up to some point depend on nothing later, so that where days from a first one
    on are built only those behind it are replaced: `day` where that point is the first of the days, else the column to
    compare with that of its name in base.truck_cut; `all` for base.truck_cut itself; "" for any other model.
    grain: the columns that name a row. columns: those with a description. audits: name → query that finds bad rows.
    """

    name: str
    description: str
    by_day: bool
    tail: str
    grain: list[str]
    columns: dict[str, str]
    query: str
    audits: dict[str, str]

    @property
    def reads(self) -> frozenset[str]:
        """`schema.table` of every source and model that the query reads; of DuckDB's SQL."""
        return frozenset(f"{schema}.{table}" for schema, table in _READ.findall(self.query))


_READ = re.compile(r'"(lake|base|marts)"\."(\w+)"')


@cache
def models(engine: str) -> tuple[RenderedModel, ...]:
    """All models in an engine's SQL, each after those that it reads; from `rendered/`."""
    text = (RENDERED / f"{engine}.json").read_text(encoding="utf-8")
    return tuple(RenderedModel(**each) for each in json.loads(text))


def render() -> dict[str, list[RenderedModel]]:
    """Engine → its models, rendered from the project by SQLMesh."""
    loaded = _in_order(_loaded())
    return {engine: [_rendered(model, dialect) for model in loaded] for engine, dialect in DIALECTS.items()}


def _loaded() -> Iterator[Model]:
    from sqlmesh.core.audit import load_audit
    from sqlmesh.core.dialect import parse
    from sqlmesh.core.model import load_sql_based_model
    from sqlmesh.utils import yaml

    variables = yaml.load(PROJECT / "config.yaml")["variables"]
    audits = {}
    for path in sorted((PROJECT / "audits").glob("*.sql")):
        audit = load_audit(
            parse(path.read_text(encoding="utf-8"), default_dialect="duckdb"), path=path, dialect="duckdb"
        )
        audits[audit.name] = audit
    for path in sorted((PROJECT / "models").rglob("*.sql")):
        expressions = parse(path.read_text(encoding="utf-8"), default_dialect="duckdb")
        yield load_sql_based_model(
            expressions,
            path=path,
            dialect="duckdb",
            defaults={"dialect": "duckdb", "start": "2000-01-01"},
            audit_definitions=audits,
            variables=variables,
        )


def _in_order(loaded: Iterable[Model]) -> list[Model]:
    left = {model.name: model for model in loaded}
    needs = {name: {_plain(each) for each in model.depends_on} & set(left) for name, model in left.items()}
    ordered: list[Model] = []
    while left:
        ready = [name for name in left if not needs[name] & set(left)]
        if not ready:
            raise ValueError(f"models that read each other: {', '.join(left)}")
        ordered.extend(left.pop(name) for name in sorted(ready))
    return ordered


def _rendered(model: Model, dialect: str) -> RenderedModel:
    from sqlmesh.core.model import FullKind

    tail = next((tag.removeprefix("tail_") for tag in model.tags), "")
    by_day = model.kind.is_incremental_by_time_range and not tail
    query = model._query_renderer.render(start=FIRST, end=LAST, needs_optimization=False)
    assert query is not None
    audits = {}
    whole = model.copy(update={"kind": FullKind()})  # else SQLMesh asks for types of every column
    for audit, arguments in model.audits_with_args:
        checked = whole.render_audit_query(audit, **arguments)
        if by_day or tail not in ("", "all"):
            checked = checked.transform(_only_built, model.name, tail)
        named = f"{audit.name} {', '.join(each.sql() for each in arguments.values())}".strip()
        audits[named] = _named(checked, dialect).sql(dialect=dialect)
    return RenderedModel(
        name=_plain(model.name),
        description=model.description or "",
        by_day=by_day,
        tail=tail,
        grain=[
            column.unnest().sql() for grain in model.grains for column in getattr(grain, "expressions", None) or [grain]
        ],
        columns=dict(model.column_descriptions or {}),
        query=_named(query, dialect).sql(dialect=dialect, pretty=True),
        audits=audits,
    )


def _named(query: Any, dialect: str) -> Any:
    """Snowflake reads names without quotes as upper case: there the models' names are so."""
    from sqlglot import exp

    def upper(node: Any) -> Any:
        return exp.to_identifier(node.name.upper(), quoted=True) if isinstance(node, exp.Identifier) else node

    return query.transform(upper) if dialect == "snowflake" else query


def _only_built(node: Any, name: str, tail: str) -> Any:
    """In an audit of a model of which a part is built: the rows that were built stand for the table."""
    from sqlglot import exp, parse_one

    if not isinstance(node, exp.Table) or _plain(f"{node.db}.{node.name}") != _plain(name):
        return node
    built = f"SELECT * FROM {name} WHERE day BETWEEN CAST('{FIRST}' AS DATE) AND CAST('{LAST}' AS DATE)"
    if tail not in ("", "day"):
        built = f"SELECT * FROM {name} AS built WHERE NOT {kept('built', tail)}"
    return exp.Subquery(this=parse_one(built), alias=exp.TableAlias(this=exp.to_identifier(node.alias or "built")))


def kept(rows: str, tail: str) -> str:
    """The condition for rows of a model of this `tail` that stay in a build of some days."""
    return f"EXISTS (SELECT 1 FROM {CUT} AS cut WHERE cut.truck_id = {rows}.truck_id AND {rows}.{tail} < cut.{tail})"


CUT = "base.truck_cut"
"""The model that says before what the rows of a truck stay."""


def _plain(name: str) -> str:
    return name.replace('"', "")


def texts() -> dict[str, str]:
    """File name in `rendered/` → its text."""
    return {
        f"{engine}.json": json.dumps([asdict(model) for model in rendered], indent=1, ensure_ascii=False) + "\n"
        for engine, rendered in render().items()
    }


def metrics() -> str:
    """docs/metrics.md: what each mart and each of its columns means, from the models."""
    lines = [
        "# Metrics",
        "",
        "What every number means: one section per mart, one line per column. Made of the models' descriptions by",
        "`python -m warehouse.rendering`; change them there. Days and hours are UTC; money is in `[warehouse]`",
        "`currency`, other currencies by `[warehouse.rates]`.",
    ]
    lines += ["", "## Thresholds", "", *_thresholds()]
    for model in sorted(models("duckdb"), key=lambda each: each.name):
        if model.name.startswith("marts."):
            lines += ["", f"## {model.name.removeprefix('marts.')}", "", model.description, ""]
            lines += [f"- `{name}`: {meaning}" for name, meaning in model.columns.items()]
    lines += [
        "",
        "## Operational figures",
        "",
        "Of the running service, in no mart; made of contract/operational_metrics.toml.",
    ]
    titles = {"prometheus": "`/metrics` of `milepost up`", "cloudwatch": "CloudWatch, on AWS"}
    for system, figures in operational_metrics().items():
        lines += ["", f"### {titles[system]}", ""]
        lines += [f"- `{name}`: {meaning}" for name, meaning in figures.items()]
    return "\n".join(lines) + "\n"


def _thresholds() -> Iterator[str]:
    """The table of contract/thresholds.toml."""
    yield "When something is due on a truck, and from which value on it is told. Made of contract/thresholds.toml,"
    yield "which the marts `maintenance_due`, `delivery` and `fuel_event`, the alerts whose rule names a line (`limit`,"
    yield "[alerts.md](alerts.md)), the dashboards and the fleet's list read. Window and hours are those of"
    yield "`maintenance_due`, whose items come first; minutes and samples are the alerts': how long it must hold."
    yield ""
    yield "| name | limit | window, days | hours | minutes | samples | ends |"
    yield "|---|---|---|---|---|---|---|"
    for name, line in thresholds().items():
        words = f" ({', '.join(line.words)})" if line.words else ""
        limit = line.unit + words if line.limit is None else f"{line.limit:g} {line.unit}"
        numbers = (line.days, line.hours, line.minutes, line.samples if line.samples > 1 else 0)
        yield f"| {name} | {limit} | {' | '.join(str(each or '–') for each in numbers)} | {line.ends} |"


def main(folder: Path = RENDERED) -> None:
    """Write the rendered files anew."""
    folder.mkdir(exist_ok=True)
    for name, text in texts().items():
        (folder / name).write_text(text, encoding="utf-8")
    if folder == RENDERED:
        models.cache_clear()
        METRICS.write_text(metrics(), encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
