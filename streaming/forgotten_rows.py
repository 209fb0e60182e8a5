"""What a batch may still write of people and places that are forgotten: judged by the markers when it is written.

Kafka keeps what it was given until its retention ends, and a job may be in the middle of a batch. So each write takes
`WRITING`, shared, and looks at the markers only then, while `streaming.forgetting` takes it alone: a batch is written
before the search for what is to go, or after the markers are seen.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from contract import timestamps
from contract.codec import canonical, parse
from contract.forgotten import GONE, Forgotten, without_position

LOCK = 0x666F7267
WRITING = f"SELECT pg_advisory_xact_lock_shared({LOCK})"
REASON = "forgotten"
ALTITUDES = ("gps_altitude_min", "gps_altitude_mean", "gps_altitude_max")
Row = Mapping[str, Any]


def raw_rows(rows: Iterable[Row], marks: Forgotten) -> list[Row]:
    """Rows of raw events as they may be kept.

    Args:
        rows: with the columns of `streaming.kafka_source`; times have a zone.
        marks: of the data directory.
    """
    return [_raw(row, marks) for row in rows] if any(marks.markers()) else list(rows)


def _raw(row: Row, marks: Forgotten) -> Row:
    if row["kind"] == "click":
        kept = marks.click(parse(row["document"]))
        return row if kept is None else {**row, "document": canonical(kept), "session_id": kept.get("session_id")}
    if row["kind"] == "telemetry":
        covered = marks.covers(row["truck_id"], timestamps.from_datetime(row["at"]))
        return {**row, "document": without_position(row["document"])} if covered else row
    if marks.letter(row["payload"]) == GONE:
        return {**row, "document": GONE.decode(), "payload": GONE, "reason": REASON}
    return row


def counted_rows(table: str, rows: Iterable[dict[str, Any]], marks: Forgotten) -> list[dict[str, Any]]:
    """Rows of what was counted as they may be written: Spark's state still holds the ids of open sessions.

    Args:
        table: of `streaming.live_tables.KEYS`.
        rows: of one batch; times have a zone.
        marks: of the data directory.
    """
    found = list(rows)
    if table == "session" and marks.markers().people:
        return [{**row, "session_id": _session(row["session_id"], row["started_at"], marks)} for row in found]
    if table == "truck_hour" and marks.markers().spans:
        return [
            row | dict.fromkeys(ALTITUDES) if _covers_any(row["truck_id"], row["hour"], marks) else row for row in found
        ]
    return found


def _session(session_id: str, started_at: datetime, marks: Forgotten) -> str:
    is_forgotten = marks.is_forgotten(session_id, timestamps.from_datetime(started_at))
    return marks.pseudonym(session_id) if is_forgotten else session_id


def _covers_any(truck_id: str, hour: datetime, marks: Forgotten) -> bool:
    """Whether a forgotten span reaches into an hour: its altitudes cannot be told apart any more."""
    begin, end = timestamps.from_datetime(hour), timestamps.from_datetime(hour + timedelta(hours=1))
    return any(span.truck_id == truck_id and span.begin < end and begin < span.end for span in marks.markers().spans)
