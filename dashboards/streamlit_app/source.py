"""Where the pages read: the marts of one warehouse, and the store of the collector. Both are only ever read."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collector import queries
from collector.stores import Reader
from warehouse.read import query
from warehouse.settings import WarehouseSettings


@dataclass(frozen=True)
class Source:
    """One installation, as the command line names it.

    data_dir: whose embedded warehouse. warehouse: which engine. store: URL of the collector's store. refresh: seconds.
    """

    data_dir: Path
    store: str
    warehouse: WarehouseSettings = field(default_factory=WarehouseSettings)
    refresh: int = 30

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """The rows of one SELECT; Misconfigured or Unreachable say why there are none."""
        return query(sql, self.data_dir, self.warehouse)

    def build(self) -> int:
        """The number of the lake build that the marts were made of."""
        return int(self.rows("SELECT build FROM build")[0]["build"])

    @contextmanager
    def reader(self) -> Iterator[Reader | None]:
        """The store, None where there is none yet."""
        with queries.opened_reader(self.store) as reader:
            yield reader


_opened: list[Source] = []


def open_source(source: Source) -> None:
    """Say, before the first page is asked for, what the pages of this process read."""
    _opened[:] = [source]


def opened() -> Source:
    """What `open_source` was given."""
    return _opened[0]
