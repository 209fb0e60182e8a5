"""Who did what to which truck, when and why: lines that are written with the change itself and never altered.

The table refuses every UPDATE and DELETE (provisioning.registry.sqlite_schema); whoever owns the file can still replace
the file.
"""

import getpass
import os
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime

from contract.timestamps import from_datetime


@dataclass(frozen=True, slots=True)
class Author:
    """who: a user of this machine, or a truck and its address. why: as that user put it."""

    who: str
    why: str = ""

    @classmethod
    def here(cls, why: str = "") -> "Author":
        """The user who runs this process; behind sudo, the one who asked for it.

        Args:
            why: the reason, for the log.

        Returns:
            A user's name, and the host's.
        """
        try:
            user = getpass.getuser()
        except (KeyError, OSError):
            user = str(os.getuid())
        asked = os.environ.get("SUDO_USER")
        return cls(f"{asked} as {user}" if asked and asked != user else user, why)


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line. at: RFC 3339. action: `add`, `retire`, `enroll`, `renew`, `confirm`, `clone_suspected`, …"""

    id: int
    at: str
    who: str
    action: str
    truck_id: str | None
    detail: str
    why: str


def write(
    database: sqlite3.Connection, author: Author, action: str, truck_id: str | None = None, detail: str = ""
) -> None:
    """Append a line to the transaction under way."""
    row = (from_datetime(datetime.now(UTC)), author.who, action, truck_id, detail, author.why)
    database.execute("INSERT INTO log (at, who, action, truck_id, detail, why) VALUES (?, ?, ?, ?, ?, ?)", row)


def read(
    database: sqlite3.Connection,
    *,
    truck_id: str | None = None,
    action: str | None = None,
    before: int | None = None,
    limit: int,
) -> list[LogLine]:
    """The newest lines, newest first.

    Args:
        database: the registry's.
        truck_id, action: only lines of this truck, of this kind.
        before: only lines with a smaller id: the next page.
        limit: how many at most.
    """
    wanted = {"truck_id = ?": truck_id, "action = ?": action, "id < ?": before}
    given = {condition: value for condition, value in wanted.items() if value is not None}
    where = f" WHERE {' AND '.join(given)}" if given else ""
    query = f"SELECT id, at, who, action, truck_id, detail, why FROM log{where} ORDER BY id DESC LIMIT ?"
    return [LogLine(*row) for row in database.execute(query, [*given.values(), limit])]
