"""Where the pages read: the marts of one warehouse, and the store of the collector. Both are only ever read."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collector import queries
from collector.stores import Reader
from contract.sign_in_sessions import SignInSessions
from dashboards.panels.sql import for_snowflake
from warehouse.read import one_build, query
from warehouse.settings import WarehouseSettings


@dataclass(frozen=True)
class DashboardSource:
    """One installation, as the command line names it.

    data_dir: whose embedded warehouse. warehouse: which engine. store: URL of the collector's store. refresh: seconds.
    """

    data_dir: Path
    store: str
    warehouse: WarehouseSettings = field(default_factory=WarehouseSettings)
    refresh: int = 30

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """The rows of one SELECT; Misconfigured or Unreachable say why there are none."""
        asked = for_snowflake(sql) if self.warehouse.engine.startswith("snowflake://") else sql
        return query(asked, self.data_dir, self.warehouse)

    def held(self) -> AbstractContextManager[None]:
        """What reads several times does so inside this: it is cheaper, and of one build of the marts."""
        return one_build(self.data_dir, self.warehouse)

    def build(self) -> int:
        """The number of the lake build that the marts were made of."""
        return int(self.rows("SELECT build FROM build")[0]["build"])

    @contextmanager
    def reader(self) -> Iterator[Reader | None]:
        """The store, None where there is none yet."""
        with queries.opened_reader(self.store) as reader:
            yield reader


_opened: list[DashboardSource] = []
_sessions: list[SignInSessions] = []


def open_source(source: DashboardSource) -> None:
    """Say, before the first page is asked for, what the pages of this process read."""
    _opened[:] = [source]


def opened() -> DashboardSource:
    """What `open_source` was given."""
    return _opened[0]


def open_sessions(hours: float) -> SignInSessions:
    """Who has signed in at this process, nobody at first.

    Args:
        hours: how long a sign-in lasts.

    Returns:
        What `sessions` gives the pages from now on.
    """
    _sessions[:] = [SignInSessions(hours)]
    return _sessions[0]


def sessions() -> SignInSessions:
    """What `open_sessions` made."""
    return _sessions[0]
