"""How a buffer file is opened: proved whole, or set aside and salvaged into a new one.

The proof is bounded in time: SQLite's quick check, then whose file it is, then every sample's checksum, until
`seconds` are over; what was not reached is checked when it is read. It never takes an agent from the road: whatever is
found, there is a file to write to at the end, unless the disk refuses or the file is somebody else's.
"""

import os
import sqlite3
import time
from contextlib import suppress
from datetime import UTC, datetime
from logging import getLogger
from pathlib import Path
from typing import NamedTuple

from agent.buffer.connection import is_damage
from agent.buffer.high_water_mark import Mark
from agent.buffer.salvage import Salvaged, collect, collect_from, pour
from agent.buffer.sample_rows import highest_held
from agent.buffer.schema import (
    APPLICATION_ID,
    PAGE_SIZE,
    SENT_SEAL,
    STEPS,
    bring_up_to_date,
    checksum,
    fingerprint,
    stream_seal,
)
from agent.buffer.sqlite_pages import FRAME_HEADER, lost_commits, read_what_can_be
from contract.errors import Misconfigured

log = getLogger(__name__)

CHECK_SECONDS = 10.0
ASIDES_KEPT = 2
_PARTS = ("", "-wal", "-shm")
_STEPS_BETWEEN_LOOKS = 10_000
_OTHERS_SECONDS = 1.0
_VERSIONS = 1000  # more there will never be
_HEAD = 65_536
"""Bytes of a file in which its tables are defined."""
_WAL_KEPT = 1 << 20
_WAL_FULL = _WAL_KEPT * 7 // 8
"""Bytes at which the log is folded into the file, and up to which it then stays, to be written over: one that is cut
short and grows anew costs the file system's own records, too."""


class Unsound(sqlite3.DatabaseError):
    """SQLite would read this file, and it would be wrong to."""


class OpenedBuffer(NamedTuple):
    """connection: to a whole file. salvaged: what was saved into it from one that was damaged or lost, None if nothing
    was or there was no need. aside: the name of the damaged file, None if there was none. torn: its log had commits
    that could not be recovered. in_order: it was closed so the last time, and has all that it was given."""

    connection: sqlite3.Connection
    salvaged: Salvaged | None = None
    aside: str | None = None
    torn: bool = False
    in_order: bool = False


def open_buffer_file(
    path: Path, truck_id: str, mark: Mark | None, *, keeps: bool = False, seconds: float = CHECK_SECONDS
) -> OpenedBuffer:
    """The file at `path`, whole and up to date. Raises Misconfigured for a file that is not this truck's, of another
    program or of a newer version; sqlite3.OperationalError and OSError where the disk refuses.

    keeps: whether the mark has samples that the file may not have: then their stream goes on, also without the file.
    """
    tail = _log_of(path)
    if mark is None and not tail and _is_foreign(path):
        raise Misconfigured(f"{path} is not a Milepost buffer: give [agent] buffer another path")
    try:
        _look_at_the_first_bytes(path, bool(tail))
        connection = _open(path, truck_id, mark, seconds, has_log=bool(tail))
    except (sqlite3.Error, UnicodeDecodeError) as error:  # SQLite quotes damaged names in what it says
        if not is_damage(error):
            raise
        log.error("buffer_damaged path=%s reason=%r", path.name, str(error))
        return replace_damaged(path, truck_id, mark, keeps=keeps, tail=tail)
    try:
        recovered = connection.execute("PRAGMA wal_checkpoint").fetchone()[1]
        salvaged = _save_tail(connection, tail, truck_id, mark)
        if keeps and mark and stream_of(connection) is None:
            begin_stream(connection, truck_id, mark.stream_id)
            salvaged = Salvaged(mark.stream_id)
    except BaseException:
        connection.close()  # at once: it keeps the next try from the file
        raise
    return OpenedBuffer(connection, salvaged, torn=lost_commits(tail, recovered), in_order=not tail)


def replace_damaged(  # noqa: PLR0913 - what is known of a damaged file
    path: Path,
    truck_id: str,
    mark: Mark | None,
    *,
    keeps: bool,
    tail: bytes | None = None,
    old: sqlite3.Connection | None = None,
) -> OpenedBuffer:
    """Set the file aside with what belongs to it, begin a new one, and put into it what can be salvaged.

    keeps: see open_buffer_file. tail: the bytes of its log as they were before SQLite saw them; None to read them now.
    old: a connection that is still open on it, and is closed. Where the disk refuses all is put back and it raises.
    """
    aside = set_aside(path)
    if old:
        with suppress(sqlite3.Error):
            old.close()  # after the renaming: else it would write its log into the file, and remove it
    try:
        salvaged = collect(aside, _log_of(aside) if tail is None else tail, truck_id, mark.stream_id if mark else None)
        if salvaged is None and mark and keeps:
            salvaged = Salvaged(mark.stream_id)
        connection = _open(path, truck_id, None, 0)
        try:
            if salvaged:
                begin_stream(connection, truck_id, salvaged.stream_id)
                pour(salvaged, connection)
        except BaseException:
            connection.close()
            raise
    except (OSError, sqlite3.Error):
        for suffix in _PARTS:
            _beside(path, suffix).unlink(missing_ok=True)
            if (part := _beside(aside, suffix)).exists():
                part.rename(_beside(path, suffix))
        raise
    return OpenedBuffer(connection, salvaged, aside.name)


def _is_foreign(path: Path) -> bool:
    """Whether a file that no mark lies beside was never a database: a text, say, that was named by mistake."""
    head = path.open("rb").read(_HEAD) if path.exists() else b""
    return bool(head) and not head.startswith(b"SQLite format 3\0") and b"CREATE TABLE" not in head


def set_aside(path: Path) -> Path:
    """Rename a file and its log; the newest ASIDES_KEPT of those set aside stay. Their names end in the time and a
    number, so that they sort by age even where the clock restarts."""
    before = sorted(path.parent.glob(f"{path.name}.damaged-*[0-9]"), key=_order)
    number = _order(before[-1]) + 1 if before else 1
    aside = path.with_name(f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S}-{number:04}")
    for suffix in _PARTS:
        if (part := _beside(path, suffix)).exists():
            part.rename(_beside(aside, suffix))
    for old in before[: max(0, len(before) + 1 - ASIDES_KEPT)]:
        for suffix in _PARTS:
            _beside(old, suffix).unlink(missing_ok=True)
    handle = os.open(path.parent, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)
    return aside


def stream_of(connection: sqlite3.Connection) -> tuple[str, str] | None:
    """(truck_id, stream_id), None in a new file; raises Unsound where the row does not prove itself."""
    found = connection.execute("SELECT truck_id, stream_id, seal FROM stream").fetchall()
    if not found:
        if connection.execute("SELECT EXISTS (SELECT 1 FROM samples)").fetchone()[0]:
            raise Unsound("samples of no stream")
        return None
    truck_id, stream_id, seal = found[0]
    if len(found) > 1 or seal != stream_seal(truck_id, stream_id, fingerprint(connection)):
        raise Unsound("whose file this is does not prove itself")
    return truck_id, stream_id


def begin_stream(connection: sqlite3.Connection, truck_id: str, stream_id: str) -> None:
    """Give a new file its stream; the transaction is the caller's."""
    seal = stream_seal(truck_id, stream_id, fingerprint(connection))
    connection.execute("INSERT INTO stream (truck_id, stream_id, seal) VALUES (?, ?, ?)", (truck_id, stream_id, seal))


def _log_of(path: Path) -> bytes:
    return read_what_can_be(_beside(path, "-wal"))


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _order(aside: Path) -> int:
    digits = aside.name.rsplit("-", 1)[-1]
    return int(digits) if digits.isdecimal() else 0


def _open(path: Path, truck_id: str, mark: Mark | None, seconds: float, *, has_log: bool = False) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=_OTHERS_SECONDS)
    try:
        connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
        _keep_others_out(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        (page_size,) = connection.execute("PRAGMA page_size").fetchone()
        connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_FULL // (page_size + FRAME_HEADER)}")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_KEPT}")
        deadline = time.monotonic() + seconds
        _quick_check(connection, deadline)
        _suspect_the_header(connection, mark, has_log)
        bring_up_to_date(connection, path)
        _prove(connection, deadline)
    except BaseException:
        connection.close()
        raise
    return connection


def _keep_others_out(connection: sqlite3.Connection) -> None:
    """Then SQLite keeps the index of its log in memory. Else it is a file (-shm), of which every sample changes six
    pages, and a minute later the kernel has written them to the disk. Somebody who has the file open already stays.
    """
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    try:
        connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        connection.execute("PRAGMA locking_mode = NORMAL")


def _look_at_the_first_bytes(path: Path, has_log: bool) -> None:
    """What SQLite would take for something else than damage: an empty file, and one that may only be read."""
    first = path.open("rb").read(20) if path.exists() else b""
    if not first and has_log:
        raise Unsound("only its write-ahead log is left")
    if len(first) == 20 and not {first[18], first[19]} <= {1, 2}:
        raise Unsound("its header names a format that there is not")


def _quick_check(connection: sqlite3.Connection, deadline: float) -> None:
    connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS_BETWEEN_LOOKS)
    try:
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise Unsound(verdict)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
            raise
        log.warning("quick_check_unfinished")
    finally:
        connection.set_progress_handler(None, 0)


def _suspect_the_header(connection: sqlite3.Connection, mark: Mark | None, has_log: bool) -> None:
    """A mark beside the file says that it is ours: then a strange header is damage, and not another program's."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    owner = int(connection.execute("PRAGMA application_id").fetchone()[0])
    tables = int(connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])
    if mark and (tables or version) and owner != APPLICATION_ID:
        raise Unsound("its header is not a buffer's")
    if mark and mark.highest_seq and has_log and not (tables and _has_stream(connection)):
        raise Unsound("its write-ahead log cannot be read from the beginning")
    flipped = (version ^ len(STEPS)).bit_count() == 1 or not 0 <= version <= _VERSIONS
    if mark and flipped and not 0 <= version <= len(STEPS):
        stream_of(connection)  # a newer version has other tables
        raise Unsound(f"its header says version {version}, its tables do not")


def _has_stream(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("SELECT EXISTS (SELECT 1 FROM stream)").fetchone()[0])


def _prove(connection: sqlite3.Connection, deadline: float) -> None:
    if stream_of(connection) is None:
        return
    for table in ("samples", "drafts"):
        for seq, body, crc in connection.execute(f"SELECT seq, body, crc FROM {table} ORDER BY seq DESC"):
            if not isinstance(body, bytes) or crc != checksum(seq, body):
                raise Unsound(f"sample {seq} is not what was stored")
            if time.monotonic() > deadline:
                break
    _reconcile(connection)


def _reconcile(connection: sqlite3.Connection) -> None:
    """Sent is only what proves itself and is there; of doubt comes pending."""
    wrong = f"seal IS NOT {SENT_SEAL} OR seq NOT IN (SELECT seq FROM samples)"
    if connection.execute(f"DELETE FROM sent WHERE {wrong}").rowcount:
        log.error("buffer_reconciled")


def _save_tail(connection: sqlite3.Connection, tail: bytes, truck_id: str, mark: Mark | None) -> Salvaged | None:
    """What stands in the log behind a frame that SQLite found damaged, and stopped at."""
    if not tail or mark is None or (stream := stream_of(connection)) is None or stream[1] != mark.stream_id:
        return None
    highest = highest_held(connection)
    if mark.stored <= highest:
        return None
    found = collect_from(b"", tail, truck_id, mark.stream_id)
    if found is None:
        return None
    found.samples = {seq: row for seq, row in found.samples.items() if highest < seq <= mark.stored}
    found.drafts = {seq: row for seq, row in found.drafts.items() if highest < seq <= mark.stored}
    if not found.samples and not found.drafts:
        return None
    pour(found, connection)
    return found
