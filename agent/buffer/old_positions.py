"""Takes the positions out of samples older than a limit, in a truck's own buffer, and ends old copies of the file.

What the cloud does with `milepost forget` (contract.forgotten): a sample keeps its number, time and measurements, its
position becomes null. Nothing is counted as lost, sent or not.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from agent.buffer.connection import BufferFile
from agent.buffer.sample_rows import NOTE
from agent.buffer.schema import TRUSTED, checksum
from agent.errors import BufferDamaged
from contract import timestamps
from contract.codec import dump

_CHUNK = 200
_MARK = "positions_forgotten_through"


def forget_positions(file: BufferFile, before: datetime) -> int:
    """Rewrite the samples taken before an instant; durable when it returns.

    Args:
        file: an open buffer file.
        before: UTC. Samples that wait for a time have none that could be older.

    Returns:
        How many had a position until now.

    Raises:
        Retryable: the disk refuses; what was rewritten before stays so.
        BufferDamaged: a sample is not what was stored.
    """
    limit, count = timestamps.from_datetime(before), 0
    file.commit()
    mark = file.one("SELECT max(CAST(value AS INTEGER)) FROM notes WHERE key = ?", _MARK)
    with file.faults() as db:
        db.execute("PRAGMA secure_delete = ON")  # for what is pruned from now on, too
    done = 0 if mark is None else int(mark)
    for samples, through in _older(file, done, limit):
        rewritten = [(seq, text) for seq, body in samples if (text := _without_position(body)) is not None]
        with file.transaction() as db:
            for seq, text in rewritten:
                db.execute("UPDATE samples SET body = ?, crc = ? WHERE seq = ?", (text, checksum(seq, text), seq))
            db.execute(NOTE, (_MARK, str(through)))
        count += len(rewritten)
    with file.faults() as db:
        if mark is None:
            db.execute("VACUUM")  # the free pages hold what was pruned before there was a limit
            db.execute("INSERT OR IGNORE INTO notes VALUES (?, ?)", (_MARK, "0"))
        if mark is None or count:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()  # the log holds the rows as they were
    return count


def _older(file: BufferFile, done: int, limit: str) -> Iterator[tuple[list[tuple[int, bytes]], int]]:
    """Chunks of samples older than `limit`, up to the first newer one whose time was witnessed; ascending by number.

    With each, the number up to which no sample is left to be looked at again: one of a wrong clock, that only seems
    newer, is passed over and comes up the next time.
    """
    through, passed_over = done, False
    while True:
        with file.faults() as db:
            query = "SELECT seq, body, flags, crc FROM samples WHERE seq > ? ORDER BY seq LIMIT ?"
            rows = db.execute(query, (done, _CHUNK)).fetchall()
        found, ended = [], len(rows) < _CHUNK
        for seq, body, flags, crc in rows:
            if not isinstance(body, bytes) or crc != checksum(seq, body):
                raise BufferDamaged(f"sample {seq} in {file.path} is not what was stored: the file is set aside")
            if str(json.loads(body).get("sampled_at")) < limit:
                found.append((seq, body))
            elif (flags or 0) & TRUSTED:
                ended = True
                break
            else:
                passed_over = True
            through = through if passed_over else seq
        if found:
            yield found, through
        if ended:
            return
        done = rows[-1][0]


def _without_position(body: bytes) -> bytes | None:
    """The sample's final bytes; None where it has no position any more."""
    sample = json.loads(body)
    gps = sample.get("gps_location")
    if not isinstance(gps, dict) or gps.get("latitude") is None:
        return None
    from contract.forgotten import without_position  # the models are slow to load, and most trucks have no limit

    kept = json.loads(without_position(body.decode()))
    kept["quality"]["gps_location"] = "not_available"  # the wire has no other word for it
    return dump(kept).encode()


def remove_old_copies(path: Path, before: datetime) -> int:
    """Remove what was set aside as damaged, or copied before a migration, before an instant.

    Args:
        path: of the buffer file, beside which they lie.
        before: UTC, against the time at which each was last written.

    Returns:
        How many files.
    """
    copies = [*path.parent.glob(f"{path.name}.damaged-*"), *path.parent.glob(f"{path.name}.version-*")]
    old = [copy for copy in copies if copy.stat().st_mtime < before.timestamp()]
    for copy in old:
        copy.unlink(missing_ok=True)
    return len(old)
