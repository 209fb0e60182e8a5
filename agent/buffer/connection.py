"""One open buffer file: its connection, what counts as damage, and what a transaction promises."""

import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent.errors import BufferDamaged
from contract.errors import Retryable

Act = Callable[[sqlite3.Connection], None]
"""Something done in a transaction of the caller's."""

_DAMAGE = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_ERROR,  # every statement is known to be right: a table or column has lost its name
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_FORMAT,
}
_DAMAGED_READS = {sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS}


def is_damage(error: Exception) -> bool:
    """Whether waiting will not help: the file itself is wrong, or its disk cannot read it."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return isinstance(error, sqlite3.DatabaseError | UnicodeDecodeError) and not isinstance(
            error, sqlite3.ProgrammingError | sqlite3.InterfaceError
        )
    return code & 0xFF in _DAMAGE or code in _DAMAGED_READS


NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_BROKEN = {errno.EIO, errno.EROFS}
_LEAST_ROOM = 128 * 1024
"""Bytes that SQLite may need to open a file: the begin of a log, and its index where that is a file."""


def disk_refuses(error: OSError | sqlite3.Error, path: Path) -> bool:
    """Whether the file could not be opened for want of room or because the disk broke, and not for want of rights.

    SQLite says of a full disk, a read-only one and a missing right alike that it cannot open a file, so the disk is
    asked too. A disk that turned read-only under a file that is there has broken; without a file the path is wrong.
    """
    if isinstance(error, OSError):
        return error.errno in NO_ROOM or (error.errno in _BROKEN and path.exists())
    code = error.sqlite_errorcode & 0xFF
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return True
    if code not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY) or not path.exists():
        return False
    disk = os.statvfs(path)
    full = disk.f_bavail * disk.f_frsize < _LEAST_ROOM or (disk.f_files > 0 and disk.f_favail == 0)
    return full or bool(disk.f_flag & os.ST_RDONLY)


def _remedy() -> str:
    """SQLite says of a full disk and of a process without descriptors alike that it cannot open a file."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            return "too many files are open: raise LimitNOFILE, or look for what keeps them open"
    return "is the disk full?"


class BufferFile:
    """The connection, which `swap` replaces after a repair. Every fault comes out as Damaged or Retryable.

    What need not reach the disk at once is *held*: done in a transaction that stays open, so that every read sees it,
    and written with the next one that is durable. Where that fails it is done anew, and goes on being held.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path, self.db = path, connection
        self._held: list[Act] = []

    @property
    def holds(self) -> int:
        """How many acts are held."""
        return len(self._held)

    @property
    def changes(self) -> int:
        """Grows with every row that is written."""
        with self.faults() as db:
            return db.total_changes

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, with all that is held before it; durable when it ends."""
        with self.faults():
            with self._step():
                yield self.db
            self._commit()

    @contextmanager
    def holding(self, act: Act) -> Iterator[None]:
        """Do `act` and hold it. The block belongs to it: if that raises, nothing was done."""
        with self.faults(), self._step():
            act(self.db)
            yield
        self._held.append(act)

    def commit(self) -> None:
        """Make durable what is held."""
        with self.faults():
            if self.db.in_transaction:
                self._commit()

    @contextmanager
    def faults(self) -> Iterator[sqlite3.Connection]:
        """SQLite's errors as the agent's."""
        try:
            if self._held:
                self._begin()
            yield self.db
        except (sqlite3.Error, UnicodeDecodeError) as error:
            if is_damage(error):
                raise BufferDamaged(f"{self.path} is damaged ({error}): it is set aside and salvaged") from error
            raise Retryable(f"the buffer {self.path} cannot be used: {error}; {_remedy()}") from error

    @contextmanager
    def _step(self) -> Iterator[None]:
        self._begin()
        self.db.execute("SAVEPOINT step")
        try:
            yield
        except BaseException:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK TO step")
                self.db.execute("RELEASE step")
            raise
        self.db.execute("RELEASE step")

    def _begin(self) -> None:
        if self.db.in_transaction:
            return
        self.db.execute("BEGIN IMMEDIATE")
        for act in self._held:
            act(self.db)

    def _commit(self) -> None:
        try:
            self.db.execute("COMMIT")
        except BaseException:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise
        self._held.clear()

    def one(self, query: str, *values: object) -> Any:
        """The first column of a query's only row."""
        with self.faults() as db:
            return db.execute(query, values).fetchone()[0]

    def swap(self, connection: sqlite3.Connection, *, keep: bool) -> None:
        """Go on with another file under the same path.

        Args:
            connection: to that file.
            keep: whether what is held belongs into it, too.
        """
        self.db = connection
        if not keep:
            self._held.clear()

    def close(self) -> None:
        """Release it."""
        self.db.close()
