"""What a buffer file says, read beside the running service, which lets nobody else into the file: from a copy."""

import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from agent.buffer.connection import is_damage
from agent.buffer.high_water_mark import find, read_bytes
from agent.buffer.sample_rows import highest_held, put_sample, put_sent
from agent.buffer.schema import APPLICATION_ID, PENDING, STEPS
from contract.codec import Json
from contract.errors import Misconfigured

_MEMORY = Path("/dev/shm")
_LOG_HEAD = 32
_TRIES = 20


@dataclass(frozen=True, slots=True)
class Glance:
    """One moment of a buffer. waiting: how many of the pending wait for a time that can be trusted.

    last_sample: the newest sample whole, None before the first. notes: see Buffer.note. damage: what a check of the
    whole file found, None where it was not asked for or found nothing.
    """

    truck_id: str
    stream_id: str
    highest_seq: int
    oldest_retained: int | None
    pending: int
    waiting: int
    sent: int
    last_sample: Json
    notes: dict[str, str]
    damage: str | None


def glance(path: Path, *, check: bool = False) -> Glance:
    """Read a buffer file, also while the agent runs.

    Args:
        path: the file.
        check: whether to check all of it.

    Returns:
        What it says now.

    Raises:
        Misconfigured: there is none, it is not one, or what is needed of it is damaged.
    """
    if not path.is_file():
        raise Misconfigured(f"no buffer at {path}: start `milepost agent run` once, or correct [agent] buffer")
    try:
        with copy_of(path) as connection:
            verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0] if check else "ok"
            return _read(connection, path, None if verdict == "ok" else verdict)
    except (sqlite3.Error, OSError, TypeError, ValueError) as error:  # what is damaged is not always of the right kind
        if not isinstance(error, sqlite3.Error | OSError) or is_damage(error):
            remedy = "start the agent anew, which sets it aside and salvages it"
            raise Misconfigured(f"the buffer {path} is damaged ({error}): {remedy}") from None
        raise Misconfigured(f"cannot read the buffer {path}: {error}; run as the agent's own user") from None


@contextmanager
def copy_of(path: Path) -> Iterator[sqlite3.Connection]:
    """A buffer as it is at one moment: the file, its log, and what the mark beside it has for it.

    Args:
        path: the file; a process that has it open goes on undisturbed, unless it is this one, which would lose its
            lock (fcntl's end when any descriptor of the file is closed).

    Yields:
        A connection to a copy, in memory where there is room, that ends with the block.

    Raises:
        OSError: it cannot be read.
        sqlite3.Error: it is damaged.
    """
    kept = read_bytes(path.with_name(path.name + ".stream"))  # first: else what goes from it into the file is missed
    with tempfile.TemporaryDirectory(prefix="milepost-", dir=_place(path.stat().st_size)) as folder:
        copy = Path(folder) / "copy"
        for _ in range(_TRIES):
            head = _head_of_log(path)
            shutil.copyfile(path, copy)
            log = copy.with_name("copy-wal")
            log.unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                shutil.copyfile(_log(path), log)
            if _head_of_log(path) == head:  # else it was begun anew, and may lack what the file did not have yet
                break
        else:
            raise sqlite3.OperationalError("it is written too fast to be copied: ask again")
        with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
            _add(connection, kept)
            yield connection


def _place(size: int) -> Path | None:
    """Where a copy of so many bytes goes: not to the card, if that can be helped."""
    if not os.access(_MEMORY, os.W_OK):
        return None
    room = os.statvfs(_MEMORY)
    return _MEMORY if room.f_bavail * room.f_frsize > 2 * size else None


def _log(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def _head_of_log(path: Path) -> bytes:
    with suppress(FileNotFoundError), _log(path).open("rb") as log:
        return log.read(_LOG_HEAD)
    return b""


def _read(connection: sqlite3.Connection, path: Path, damage: str | None) -> Glance:
    connection.execute("BEGIN")
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise Misconfigured(f"{path} is not a Milepost buffer: correct [agent] buffer")
    owner = connection.execute("SELECT truck_id, stream_id FROM stream").fetchone()
    if owner is None:
        raise Misconfigured(f"{path} is just being made: ask again")
    truck_id, stream_id = owner
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = ("samples", "drafts") if version > 1 else ("samples",)
    held = " UNION ALL ".join(f"SELECT seq, body FROM {table}" for table in tables)
    waiting = connection.execute("SELECT count(*) FROM drafts").fetchone()[0] if version > 1 else 0
    newest = connection.execute(f"{held} ORDER BY seq DESC LIMIT 1").fetchone()
    lost = connection.execute("SELECT ifnull(max(last), 0) FROM gone").fetchone()[0]
    return Glance(
        truck_id=truck_id,
        stream_id=stream_id,
        highest_seq=max(newest[0] if newest else 0, lost),
        oldest_retained=connection.execute(f"SELECT min(seq) FROM ({held})").fetchone()[0],
        pending=connection.execute(f"SELECT count(*) FROM samples WHERE {PENDING}").fetchone()[0] + waiting,
        waiting=waiting,
        sent=connection.execute("SELECT count(*) FROM sent").fetchone()[0],
        last_sample=json.loads(newest[1]) if newest else None,
        notes=dict(connection.execute("SELECT key, value FROM notes")),
        damage=damage,
    )


def _add(connection: sqlite3.Connection, mark: bytes) -> None:
    """What the file does not have yet, into the copy of it."""
    facts = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
    if facts != [APPLICATION_ID, len(STEPS)]:
        return
    owner = connection.execute("SELECT truck_id, stream_id FROM stream").fetchone()
    kept = find(mark, str(owner[0])) if owner else None
    if not kept or not kept.mark or kept.mark.stream_id != owner[1]:
        return
    connection.execute("BEGIN")
    stored = highest_held(connection)
    for sample in kept.newest:
        if sample.seq > stored:
            put_sample(connection, sample)
    if kept.mark.sent:
        put_sent(connection, kept.mark.sent, 0, kept.mark.sent_at)
    connection.execute("COMMIT")
