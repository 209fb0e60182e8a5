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


def measured(found: Iterable[QualityRule]) -> str:
    """The DuckDB query that measures rules, in one scan of each table.

    Its columns are rule, table_name, rows, failed, threshold, action.
    """
    by_table: dict[str, list[QualityRule]] = {}
    for rule in found:
        by_table.setdefault(rule.table, []).append(rule)
    return "\nUNION ALL\n".join(_measure(table, mine) for table, mine in by_table.items())


def _measure(table: str, mine: list[QualityRule]) -> str:
    relation, shown = (f"{table} AS looked_at", "lake") if table.startswith("(") else (f"raw_{table}", table)
    failed = ", ".join(f"count(*) FILTER (WHERE {rule.bad})" for rule in mine)
    about = ", ".join(
        f"{{'rule': '{rule.name}', 'threshold': CAST({rule.threshold!r} AS DOUBLE), 'action': '{rule.action}'}}"
        for rule in mine
    )
    return (
        f"SELECT about.rule AS rule, '{shown}' AS table_name, rows, failed, about.threshold AS threshold,"
        f" about.action AS action FROM (SELECT rows, unnest(failed) AS failed, unnest([{about}]) AS about"
        f" FROM (SELECT count(*) AS rows, [{failed}] AS failed FROM {relation}))"
    )
