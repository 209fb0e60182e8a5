"""The judge's look into the store of one machine: which samples it holds, as rows, independent of what it says of them.

Read-only, beside the running service, by SQL on the SQLite file: a judge that asked the service would believe it.
"""

import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What a look found that the one before had not. latencies: of the live ones whose clock was right, seconds from
    sampling to the look."""

    count: int
    latencies: list[float]


class StoreWatch:
    """Belongs to one thread. live_from: samples taken before this time (RFC 3339) are backlog: counted, not timed."""

    def __init__(self, path: Path, *, live_from: str = "") -> None:
        self._connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)
        self._seen = 0
        self.live_from = live_from
        self.look()

    def look(self) -> Arrivals:
        """The rows that have come since the last look. Rows become visible when they are committed: queryable."""
        rows = self._connection.execute(
            "SELECT rowid, order_key, estimated FROM samples WHERE rowid > ? ORDER BY rowid", (self._seen,)
        ).fetchall()
        if not rows:
            return Arrivals(0, [])
        now, self._seen = time.time(), rows[-1][0]
        live = self.live_from
        return Arrivals(
            len(rows),
            [
                now - datetime.fromisoformat(key[:24]).timestamp()
                for _, key, estimated in rows
                if key[:24] >= live and not estimated
            ],
        )

    def close(self) -> None:
        """Release the file."""
        self._connection.close()


@dataclass(frozen=True, slots=True)
class Held:
    """A truck's rows in the store. different: (stream_id, seq) pairs among them."""

    rows: int
    different: int


def held(path: Path) -> Mapping[str, Held]:
    """truck_id → what the store holds of it."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=30)) as connection:
        rows = connection.execute(
            "SELECT truck_id, sum(n), sum(d) FROM (SELECT truck_id, count(*) AS n, count(DISTINCT seq) AS d"
            " FROM samples GROUP BY truck_id, stream_id) GROUP BY truck_id"
        )
        return {truck_id: Held(int(count), int(different)) for truck_id, count, different in rows}
