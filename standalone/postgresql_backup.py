"""A PostgreSQL database in a backup: pg_dump over a snapshot that is taken while the SQLite stores are held.

Passwords go to the programs by their environment, never as arguments, which other users of this machine can see.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from contract.errors import Misconfigured, Unreachable

if TYPE_CHECKING:
    import psycopg

_OPTIONS = {"sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY"}
_PROGRAMS = "/usr/lib/postgresql"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One instant of a database, as long as its connection is open."""

    name: str
    connection: "psycopg.Connection[tuple[str]]"


@contextmanager
def held(url: str) -> Iterator[Snapshot]:
    """An exported snapshot of now. Unreachable where the database does not answer."""
    import psycopg

    try:
        connection = psycopg.connect(url, connect_timeout=10)
    except psycopg.OperationalError as error:
        raise Unreachable(f"the orders' database cannot be reached: {str(error).strip()}") from None
    with connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        row = connection.execute("SELECT pg_export_snapshot()").fetchone()
        yield Snapshot(row[0] if row else "", connection)
        connection.rollback()


def dump(url: str, snapshot: Snapshot, target: Path) -> None:
    """Write the database as of the snapshot. Misconfigured where pg_dump is missing or refuses."""
    _run(url, "pg_dump", "--format=custom", "--no-owner", f"--snapshot={snapshot.name}", f"--file={target}")
    target.chmod(0o600)


def load(url: str, source: Path, *, replace: bool) -> None:
    """Put a dump in place, whole or not at all.

    Args:
        url: of the database, which must exist.
        source: what `dump` has written.
        replace: what has the same names is dropped before; else a database with tables is refused.

    Raises:
        Misconfigured: the database is not empty, or pg_restore is missing or refuses.
        Unreachable: it does not answer.
    """
    with held(url) as snapshot:
        query = "SELECT count(*)::text FROM information_schema.tables WHERE table_schema = 'public'"
        row = snapshot.connection.execute(query).fetchone()
    if row and row[0] != "0" and not replace:
        raise Misconfigured("the orders' database has tables: say --replace to overwrite them")
    options = ["--clean", "--if-exists"] if replace else []
    _run(
        url,
        "pg_restore",
        "--no-owner",
        "--single-transaction",
        "--exit-on-error",
        *options,
        f"--dbname={_name(url)}",
        str(source),
    )


def _run(url: str, program: str, *arguments: str) -> None:
    found = shutil.which(program) or shutil.which(program, path=_newest())
    if found is None:
        raise Misconfigured(f"{program} is missing, and orders are in PostgreSQL: apt-get install postgresql-client")
    done = subprocess.run(
        [found, *arguments], env={**os.environ, **_environment(url)}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Misconfigured(f"{program} failed: {done.stderr.strip()[-500:]}")


def _newest() -> str:
    return os.pathsep.join(str(path) for path in sorted(Path(_PROGRAMS).glob("*/bin"), reverse=True))


def _name(url: str) -> str:
    return unquote(urlsplit(url).path.lstrip("/"))


def _environment(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    given = {
        "PGHOST": parts.hostname,
        "PGPORT": str(parts.port) if parts.port else None,
        "PGUSER": unquote(parts.username) if parts.username else None,
        "PGPASSWORD": unquote(parts.password) if parts.password else None,
        "PGDATABASE": _name(url) or None,
    }
    options = {_OPTIONS[key]: value for key, value in parse_qsl(parts.query) if key in _OPTIONS}
    return {**{key: value for key, value in given.items() if value}, **options}
