"""The samples of one file that wait for a time, and what is known of the boots that took them."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import cast

from agent.buffer import Boot, Dated, Draft
from agent.buffer.connection import BufferFile
from agent.buffer.sample_rows import boot_number
from agent.buffer.schema import TRUSTED, checksum
from agent.timing.clock import TimeQuality
from agent.timing.trusted_time import Anchor
from contract import timestamps
from contract.codec import dump
from contract.ranges import Ranges

_CHUNK = 500
_MS = 1000


class Waiting:
    """One file's drafts and boots."""

    def __init__(self, file: BufferFile) -> None:
        self._file = file

    def drafts(self) -> list[Draft]:
        """All that wait, in order."""
        with self._file.faults() as db:
            query = "SELECT seq, ifnull(boot, 0), ifnull(uptime, 0), wall FROM drafts ORDER BY seq"
            return [
                Draft(seq, boot, uptime / _MS, timestamps.to_datetime(wall))
                for seq, boot, uptime, wall in db.execute(query)
            ]

    def release(self, dated: Sequence[Dated]) -> Ranges:
        """See Buffer.release."""
        released: list[int] = []
        for at in range(0, len(dated), _CHUNK):
            with self._file.transaction() as db:
                for one in dated[at : at + _CHUNK]:
                    query = "SELECT body, boot, uptime, flags FROM drafts WHERE seq = ?"
                    row = db.execute(query, (one.seq,)).fetchone()
                    if row is None:
                        continue
                    body = redated(row[0], one)
                    flags = row[3] | (TRUSTED if one.quality != "estimated" else 0)
                    values = (one.seq, body, row[1], row[2], flags, checksum(one.seq, body))
                    db.execute("INSERT INTO samples VALUES (?, ?, ?, ?, ?, ?)", values)
                    db.execute("DELETE FROM drafts WHERE seq = ?", (one.seq,))
                    released.append(one.seq)
        return Ranges.of_numbers(released)

    def trusted_around(self, first: int, last: int) -> tuple[datetime | None, datetime | None]:
        """See Buffer.trusted_around. A time that was estimated counts before, unless it lies behind the one after."""
        before = "SELECT body FROM samples WHERE seq < ? {} ORDER BY seq DESC LIMIT 1"
        trusted = f"AND flags & {TRUSTED}"
        with self._file.faults() as db:
            after = _time(
                db.execute(before.replace("<", ">").replace("DESC", "ASC").format(trusted), (last,)).fetchone()
            )
            known = [_time(db.execute(before.format(which), (first,)).fetchone()) for which in (trusted, "")]
        possible = [time for time in known if time is not None and (after is None or time <= after)]
        return max(possible, default=None), after

    def boots(self) -> list[Boot]:
        """All that are remembered."""
        with self._file.faults() as db:
            query = "SELECT id, boot, uptime, utc, quality FROM boots ORDER BY id"
            return [Boot(row[0], row[1], _anchor(*row[2:])) for row in db.execute(query)]

    def remember(self, boot: str, anchor: Anchor) -> None:
        """See Buffer.remember."""
        with self._file.transaction() as db:
            values = (anchor.uptime, anchor.utc.isoformat(), anchor.quality, boot_number(db, boot))
            db.execute("UPDATE boots SET uptime = ?, utc = ?, quality = ? WHERE id = ?", values)


def redated(body: bytes, dated: Dated) -> bytes:
    """A draft's body with its final time; the instants in `since_last` are as far from it as they were."""
    sample = json.loads(body)
    by = dated.at - timestamps.to_datetime(sample["sampled_at"])
    sample["sampled_at"], sample["time_quality"] = timestamps.from_datetime(dated.at), dated.quality
    since = sample.get("since_last", {})
    for each, name in [(one, "at") for one in since.get("harsh", ())] + [
        (one, name) for one in since.get("faults", ()) for name in ("first", "last")
    ]:
        each[name] = timestamps.from_datetime(timestamps.to_datetime(each[name]) + by)
    return dump(sample).encode()


def _time(row: tuple[bytes] | None) -> datetime | None:
    sampled_at = json.loads(row[0]).get("sampled_at") if row else None
    return timestamps.to_datetime(sampled_at) if sampled_at else None


def _anchor(uptime: float | None, utc: str | None, quality: str | None) -> Anchor | None:
    """What is remembered of a boot; None where that is nothing, or nothing that can be read."""
    if uptime is None or utc is None or quality not in ("gps", "ntp", "cloud", "estimated"):
        return None
    try:
        return Anchor(float(uptime), datetime.fromisoformat(utc), cast(TimeQuality, quality))
    except (ValueError, TypeError):
        return None
