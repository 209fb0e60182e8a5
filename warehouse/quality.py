"""Quality rules as data: `quality_rules.toml` in this package, and `[[warehouse.quality]]` in the settings."""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

RULES = Path(__file__).parent / "quality_rules.toml"


class QualityRule(BaseModel):
    """What rows of a table must not be.

    table: a table of the lake, or a relation in parentheses over `raw_TABLE`. bad: a condition in DuckDB's SQL.
    threshold: the share of rows that may be so. action: what the verdict is beyond it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")
    table: str = Field(pattern=r"^([a-z_]+|\(.*\))$")
    bad: str
    threshold: float = Field(default=0, ge=0, le=1)
    action: Literal["warn", "stop"] = "warn"


def rules(added: Iterable[QualityRule]) -> list[QualityRule]:
    """The shipped rules and those of the settings, by name; one of the settings stands for a shipped one."""
    shipped = tomllib.loads(RULES.read_text(encoding="utf-8"))["rule"]
    found = {rule.name: rule for rule in [*map(QualityRule.model_validate, shipped), *added]}
    return [found[name] for name in sorted(found)]


def measured(found: Iterable[QualityRule]) -> dict[str, str]:
    """The DuckDB queries that measure rules, each table in one scan.

    Args:
        found: the rules.

    Returns:
        `quality_day`: day, rule, rows, failed, of the rules that ask a row of telemetry alone, so that no build looks
        at days again that did not change. `quality_rule`: rule, table_name, threshold, action of these.
        `quality_measure`: rule, table_name, rows, failed, threshold, action of the others.
    """
    by_table: dict[str, list[QualityRule]] = {}
    by_day: list[QualityRule] = []
    for rule in found:
        asks_a_row = rule.table == _BY_DAY and "select" not in rule.bad.lower()
        (by_day if asks_a_row else by_table.setdefault(rule.table, [])).append(rule)
    return {
        "quality_day": _of_a_day(by_day),
        "quality_rule": f"SELECT unnest({_abouts(by_day)}, recursive := true), '{_BY_DAY}' AS table_name",
        "quality_measure": "\nUNION ALL\n".join([_NONE, *(_measure(*each) for each in by_table.items())]),
    }


_BY_DAY = "telemetry"
_NONE = """SELECT CAST(NULL AS VARCHAR) AS rule, CAST(NULL AS VARCHAR) AS table_name, CAST(NULL AS BIGINT) AS rows,
    CAST(NULL AS BIGINT) AS failed, CAST(NULL AS DOUBLE) AS threshold, CAST(NULL AS VARCHAR) AS action WHERE false"""


def _of_a_day(mine: list[QualityRule]) -> str:
    named = ", ".join(f"'{rule.name}'" for rule in mine)
    return (
        f"SELECT day, unnest(CAST([{named}] AS VARCHAR[])) AS rule, rows, unnest(failed) AS failed"
        f" FROM (SELECT day, count(*) AS rows, {_failed(mine)} AS failed FROM raw_{_BY_DAY} GROUP BY day)"
    )


def _failed(mine: list[QualityRule]) -> str:
    counts = ", ".join(f"count(*) FILTER (WHERE {rule.bad})" for rule in mine)
    return f"CAST([{counts}] AS BIGINT[])"


def _abouts(mine: list[QualityRule]) -> str:
    rows = ", ".join(
        f"{{'rule': '{rule.name}', 'threshold': CAST({rule.threshold!r} AS DOUBLE), 'action': '{rule.action}'}}"
        for rule in mine
    )
    return f"CAST([{rows}] AS STRUCT(rule VARCHAR, threshold DOUBLE, action VARCHAR)[])"


def _measure(table: str, mine: list[QualityRule]) -> str:
    relation, shown = (f"{table} AS looked_at", "lake") if table.startswith("(") else (f"raw_{table}", table)
    return (
        f"SELECT about.rule AS rule, '{shown}' AS table_name, rows, failed, about.threshold AS threshold,"
        f" about.action AS action FROM (SELECT rows, unnest(failed) AS failed, unnest({_abouts(mine)}) AS about"
        f" FROM (SELECT count(*) AS rows, {_failed(mine)} AS failed FROM {relation}))"
    )
