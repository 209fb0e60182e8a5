"""What was sent, read back from the files of the trucks and the shoppers: the other side of the balance.

Reads only, beside the running simulator or after it; a folder without trucks or shoppers is an empty ledger.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from agent.buffer.inspection import copy_of
from agent.buffer.schema import PENDING
from contract import codec, timestamps

TRUCKS, BUFFER = "trucks", "buffer.db"
FLEET = Path(TRUCKS) / "fleet.db"
PROGRESS = Path(TRUCKS) / "progress.jsonl"
"""Fleet mode's line a second while it runs: `{at (Unix ms), online, joining, sampled, pending}`; joining: how many
trucks have never been connected and could be, having network and power."""

OUTBOX = Path("shoppers") / "outbox.db"


@dataclass(frozen=True, slots=True)
class Clicks:
    """The shoppers' events. sent: all that were ever handed to the poster; open: without a receipt as yet.

    rejected: the beacon refused them; sent - open - rejected is what the store must have counted.
    """

    sent: int
    open: int
    rejected: int
    path: Path

    def event_ids(self, *states: str) -> Iterator[str]:
        """The ids, oldest first; all, or those that are `open`, `accepted`, `duplicate` or `rejected`."""
        if not self.path.exists():
            return
        chosen = f" WHERE state IN ({', '.join('?' * len(states))})" if states else ""
        with closing(_reading(self.path)) as connection:
            for row in connection.execute(f"SELECT event_id FROM events{chosen} ORDER BY number", states):
                yield row[0]


def clicks(folder: Path) -> Clicks:
    """The ledger of the shoppers that keep their outbox under the data folder.

    Args:
        folder: the data directory; may hold nothing.

    Returns:
        Counts of now; the ids are read when they are asked for.
    """
    path = folder / OUTBOX
    counts: dict[str, int] = {}
    if path.exists():
        with closing(_reading(path)) as connection:
            if _has_table(connection, "events"):
                counts = dict(connection.execute("SELECT state, count(*) FROM events GROUP BY state"))
    return Clicks(sum(counts.values()), counts.get("open", 0), counts.get("rejected", 0), path)


@dataclass(frozen=True, slots=True)
class OrderBook:
    """The shop's orders. states: order_id → its state by the shop's books: the last thing that was taken of it.

    open: without an answer as yet; rejected: orders, or events of orders, that were refused.
    """

    states: Mapping[str, str]
    open: int
    rejected: int


def orders(folder: Path) -> OrderBook:
    """The ledger of the shop that keeps its outbox under the data folder.

    Args:
        folder: the data directory; may hold nothing.

    Returns:
        The shop's books of now.
    """
    path = folder / OUTBOX
    if not path.exists():
        return OrderBook({}, 0, 0)
    with closing(_reading(path)) as connection:
        if not _has_table(connection, "requests"):
            return OrderBook({}, 0, 0)
        states: dict[str, str] = {}
        of_orders = "SELECT subject, kind, state FROM requests WHERE method = 'POST' ORDER BY due_ms, number"
        waiting = rejected = 0
        for subject, kind, state in connection.execute(of_orders):
            if state == "open":
                waiting += kind == "placed"
            elif state == "rejected":
                rejected += 1
            elif kind != "paid":
                states[subject] = kind
        return OrderBook(states, waiting, rejected)


def last_shopped_at(folder: Path) -> datetime | None:
    """When the shop's newest order was placed, None while there is none."""
    path = folder / OUTBOX
    if not path.exists():
        return None
    with closing(_reading(path)) as connection:
        if not _has_table(connection, "requests"):
            return None
        newest = connection.execute("SELECT max(due_ms) FROM requests WHERE kind = 'placed'").fetchone()[0]
    return None if newest is None else timestamps.to_datetime(timestamps.from_ms(newest))


def buffer_path(folder: Path, truck_id: str) -> Path:
    """Where a virtual truck keeps its buffer under the data folder."""
    return folder / TRUCKS / truck_id / BUFFER


def sampled(folder: Path) -> dict[str, int]:
    """truck_id → how many samples that virtual truck has ever committed, streams of lost files included.

    Args:
        folder: the data directory; may hold nothing.

    Returns:
        Trucks of both modes; committed means on disk, whether sent or not.
    """
    return _fleet(folder, "ifnull(max(seq), 0)", "samples") | {
        path.parent.name: _committed(path) for path in sorted((folder / TRUCKS).glob(f"*/{BUFFER}"))
    }


def pending(folder: Path) -> dict[str, int]:
    """truck_id → how many of its samples are committed and not yet acknowledged by the broker."""
    return _fleet(folder, "count(*)", "unacknowledged") | {
        path.parent.name: _pending(path) for path in sorted((folder / TRUCKS).glob(f"*/{BUFFER}"))
    }


def progress(folder: Path) -> dict[str, int]:
    """The newest line of fleet mode's progress, `{}` while there is none."""
    path = folder / PROGRESS
    if not path.exists():
        return {}
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 1000))
        lines = file.read().split(b"\n")[:-1]  # the last may be half written
    return dict(codec.parse(lines[-1])) if lines else {}


def _fleet(folder: Path, counted: str, table: str) -> dict[str, int]:
    """The trucks of fleet mode, which share one file (simulator.fleet.ledger). Each is asked for by the index alone:
    a storm's ledger holds gigabytes."""
    path = folder / FLEET
    if not path.exists():
        return {}
    with closing(_reading(path)) as connection:
        if not _has_table(connection, table):
            return {}
        rows = connection.execute(
            f"SELECT truck_id, (SELECT {counted} FROM {table} WHERE number = trucks.number) FROM trucks"
        )
        return {str(truck_id): int(count) for truck_id, count in rows}


def _committed(path: Path) -> int:
    with copy_of(path) as connection:  # the agent lets nobody into the file
        if not _has_table(connection, "notes"):  # the last table to be made
            return 0
        row = connection.execute(
            "SELECT max(ifnull((SELECT max(seq) FROM samples), 0), ifnull((SELECT max(last) FROM gone), 0))"
            " + ifnull((SELECT sum(highest_seq) FROM predecessors), 0)"
        ).fetchone()
    return int(row[0])


def _pending(path: Path) -> int:
    with copy_of(path) as connection:
        if not _has_table(connection, "notes"):
            return 0
        return int(connection.execute(f"SELECT count(*) FROM samples WHERE {PENDING}").fetchone()[0])


def _has_table(connection: sqlite3.Connection, name: str) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (name,)).fetchone() is not None


def _reading(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)
