"""Where the models run: `Engine` builds the marts of one finished lake build, whole or not at all."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from warehouse.lake.schema import LakeTable

Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class LakeView:
    """A finished lake build as an engine reads it.

    build: its id. files: table → day ("" in tables without days) → Parquet paths. sources: name in schema `lake` →
    DuckDB query over `raw_TABLE`. changed: table → days whose rows may differ from those of the build that the engine
    holds; None where all may.
    """

    build: int
    files: Mapping[str, Mapping[str, Sequence[str]]]
    sources: Mapping[str, str]
    changed: Mapping[str, frozenset[str]] | None


def files_of(lake: LakeView, table: LakeTable) -> list[str]:
    """The Parquet files of a table, of all days."""
    return [path for paths in lake.files.get(table.name, {}).values() for path in paths]


class Engine(Protocol):
    """A database that holds the marts."""

    def holds(self) -> tuple[int, str] | None:
        """What the marts are made of.

        Returns:
            The lake build and the digest of the models that made them; None where there are no marts yet.
        """
        ...

    def build(self, lake: LakeView, models_digest: str) -> dict[str, int]:
        """Make the marts those of a lake build, in one transaction: a reader sees the old ones or the new ones.

        Args:
            lake: the finished build to read.
            models_digest: kept beside the marts, for `holds`.

        Returns:
            Mart → rows.

        Raises:
            AuditFailed: an audit found rows; nothing was changed.
            QualityStopped: it was of a quality rule, on DuckDB or PostgreSQL: mart `quality_run`, if there was one,
                shows the run that stopped the build.
            Unreachable: the database cannot be reached or written.
        """
        ...

    def query(self, sql: str) -> Rows:
        """The rows of one SELECT over the marts; it can change nothing.

        Args:
            sql: in the engine's dialect; the marts' names need no schema.

        Returns:
            One mapping a row, column → the engine's own value; in the order that the SQL gives.

        Raises:
            Misconfigured: the SQL is wrong, or there are no marts yet.
        """
        ...

    def held(self) -> AbstractContextManager[None]:
        """For several queries: while it is open they may be cheaper, since a file is opened once.

        Returns:
            To be entered; inside it all queries of this process read one build.
        """
        ...
