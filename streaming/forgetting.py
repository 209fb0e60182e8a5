"""Takes a person's identity, or a truck's positions, out of the schema `live`, and leaves every count as it was.

Rows stay under their keys, so that a batch that Spark repeats changes nothing. What is overwritten leaves PostgreSQL's
files by VACUUM FULL. Kafka's records and the state in Spark's checkpoints are not reached: `streaming.forgotten_rows`
keeps what they still hold from being written.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
from psycopg import sql

from contract import timestamps
from contract.codec import Json, canonical, parse
from contract.errors import Retryable
from contract.forgotten import GONE, Forgotten, Span, without_position
from streaming.forgotten_rows import ALTITUDES, LOCK, REASON

_CONNECT_SECONDS = 10
_KEY = 'received_at, topic, "partition", "offset", identity'
_WHO = ("user_id", "session_id", "customer_id", "browser_id")
_SMALL = ("quarantine", "session", "sale", "truck_hour")
_SEARCHED = {
    "raw_event": ("identity", "document"),
    "quarantine": ("identity", "reason", "payload"),
    "session": ("session_id",),
    "sale": ("sale_id", "identity", "session_id", "lines"),
}
"""Table → columns that can name somebody."""

_NAMED = "EXISTS (SELECT FROM unnest(%s::text[]) AS word WHERE strpos(document, word) > 0)"


def events(url: str, event_ids: Sequence[str], identifiers: Collection[str]) -> list[dict[str, Json]]:
    """A person's shop events among the raw events, ascending in time: for an export of what is held.

    Args:
        url: of the database.
        event_ids: known to be the person's.
        identifiers: ids that only this person has used.

    Returns:
        Their documents, each event_id once; none where the schema is not there.

    Raises:
        Retryable: the database does not answer.
    """
    with _there(url) as cursor:
        found = {row[4]: parse(row[6]) for row in _raw_of_person(cursor, event_ids, identifiers) if row[5] == "click"}
    return sorted(found.values(), key=lambda event: (str(event["timestamp"]), str(event["event_id"])))


def forget_person(url: str, event_ids: Sequence[str], identifiers: Collection[str], marks: Forgotten) -> dict[str, int]:
    """Rewrite a person's raw events, sessions and sales, and refused records that hold an identifier; one transaction.

    Args:
        url: of the database.
        event_ids: known to be the person's.
        identifiers: ids that only this person has used, and what else names it. The markers must be written before.
        marks: give pseudonyms.

    Returns:
        `{live_raw_events, live_sessions, live_sales, live_refused}`: rows rewritten; empty where the schema is not
        there.

    Raises:
        Retryable: the database does not answer; the same again does the rest.
    """
    done = dict.fromkeys(("live_raw_events", "live_sessions", "live_sales", "live_refused"), 0)
    with _there(url) as cursor:
        if cursor is None:
            return {}
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        for *key, kind, document in _raw_of_person(cursor, event_ids, identifiers):
            if kind == "click":
                kept = canonical(marks.scrubbed_click(parse(document)))
                _set_document(cursor, key, kept)
                done["live_raw_events"] += 1
            elif kind == "refused":
                done["live_refused"] += _forget_refused(cursor, key)
        for identifier in identifiers:
            pseudonym = marks.pseudonym(identifier)
            cursor.execute(
                "DELETE FROM live.session AS own USING live.session AS other WHERE own.session_id = %s"
                " AND other.session_id = %s AND other.started_at = own.started_at",
                [identifier, pseudonym],
            )
            for table, name in (("session", "live_sessions"), ("sale", "live_sales")):
                cursor.execute(
                    sql.SQL("UPDATE {} SET session_id = %s WHERE session_id = %s").format(
                        sql.Identifier("live", table)
                    ),
                    [pseudonym, identifier],
                )
                done[name] += cursor.rowcount
    return done


def forget_positions(url: str, span: Span) -> dict[str, int]:
    """Rewrite a truck's raw samples of a span without their positions; one transaction.

    The altitudes of the hours that the span reaches into go whole. Refused records that name the truck and came within
    the span lose their bytes.

    Args:
        url: of the database.
        span: truck and time.

    Returns:
        `{live_raw_events, live_refused}`: rows rewritten; empty where the schema is not there.

    Raises:
        Retryable: the database does not answer; the same again does the rest.
    """
    done = {"live_raw_events": 0, "live_refused": 0}
    with _there(url) as cursor:
        if cursor is None:
            return {}
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        for *key, document in _samples(cursor, span):
            _set_document(cursor, key, without_position(document))
            done["live_raw_events"] += 1
        for *key, _ in cursor.execute(
            f"SELECT {_KEY}, kind FROM live.raw_event WHERE kind = 'refused' AND received_at BETWEEN %s AND %s"
            " AND strpos(document, %s) > 0",
            [span.begin, span.end, span.truck_id],
        ).fetchall():
            done["live_refused"] += _forget_refused(cursor, key)
        hours = ", ".join(f"{name} = NULL" for name in ALTITUDES)
        cursor.execute(
            f"UPDATE live.truck_hour SET {hours} WHERE truck_id = %s AND hour < %s AND hour > %s",
            [span.truck_id, span.end, timestamps.to_datetime(span.begin) - timedelta(hours=1)],
        )
    return done


def positions_left(url: str, span: Span) -> int:
    """How many raw samples of a span still have a position.

    Args:
        url: of the database.
        span: truck and time.

    Returns:
        0 after `forget_positions`, and where the schema is not there.

    Raises:
        Retryable: the database does not answer.
    """
    with _there(url) as cursor:
        return sum(_has_position(parse(document)) for *_, document in _samples(cursor, span)) if cursor else 0


def erase_traces(url: str, replaced: Collection[str], spans: Sequence[Span] = ()) -> None:
    """Have PostgreSQL write the tables anew, without what was overwritten: of the raw events the days that it lay in.

    Args:
        url: of the database; it locks each table meanwhile, so that the jobs wait.
        replaced: pseudonyms of a person.
        spans: trucks and times whose positions were forgotten.

    Raises:
        Retryable: the database does not answer, or a table was locked for too long; the same again does the rest.
    """
    words = [*replaced, GONE.decode()]
    with _there(url) as cursor:
        if cursor is None:
            return
        cursor.execute(f"SELECT DISTINCT tableoid::regclass::text FROM live.raw_event WHERE {_NAMED}", [words])
        days = {name for (name,) in cursor.fetchall()}
        for span in spans:
            cursor.execute(
                "SELECT DISTINCT tableoid::regclass::text FROM live.raw_event WHERE kind = 'telemetry'"
                " AND at >= %s AND at < %s AND starts_with(identity, %s)",
                [span.begin, span.end, f"{span.truck_id} "],
            )
            days |= {name for (name,) in cursor.fetchall()}
    with _answering(), psycopg.connect(url, autocommit=True, connect_timeout=_CONNECT_SECONDS) as connection:
        for table in sorted({*days, *(f"live.{name}" for name in _SMALL)}):
            connection.execute(sql.SQL("VACUUM FULL {}").format(sql.Identifier(*table.split("."))))


def occurrences(url: str, identifiers: Iterable[str]) -> list[dict[str, Any]]:
    """Where identifiers still stand in the live tables.

    Args:
        url: of the database.
        identifiers: texts to look for.

    Returns:
        `[{place, identifier, hits}]`, none after `forget_person`.

    Raises:
        Retryable: the database does not answer.
    """
    found: list[dict[str, Any]] = []
    with _there(url) as cursor:
        for table, columns in _SEARCHED.items() if cursor else ():
            tests = " OR ".join(
                f"position(convert_to(%(word)s, 'UTF8') IN {name}) > 0"
                if name == "payload"
                else f"strpos({name}::text, %(word)s) > 0"
                for name in columns
            )
            for identifier in identifiers:
                hits = 0
                for word in _forms([identifier]):
                    cursor.execute(f"SELECT count(*) FROM live.{table} WHERE {tests}", {"word": word})
                    hits += cursor.fetchone()[0]
                if hits:
                    found.append({"place": f"table live.{table}", "identifier": identifier, "hits": hits})
    return found


def _raw_of_person(cursor: Any, event_ids: Sequence[str], identifiers: Collection[str]) -> Iterator[tuple[Any, ...]]:
    """Key, kind and document of the raw events that are a person's, and of refused ones that name it."""
    if cursor is None:
        return
    cursor.execute(
        f"SELECT {_KEY}, kind, document FROM live.raw_event"
        f" WHERE (kind = 'click' AND identity = ANY(%s)) OR (kind <> 'telemetry' AND {_NAMED})",
        [list(event_ids), _forms(identifiers)],
    )
    known = set(event_ids)
    for row in cursor.fetchall():
        *_, identity, kind, document = row
        if kind == "refused" or identity in known:
            yield row
        else:
            record = parse(document)
            if any(record.get(name) in identifiers for name in _WHO):
                yield row


def _samples(cursor: Any, span: Span) -> list[tuple[Any, ...]]:
    cursor.execute(
        f"SELECT {_KEY}, document FROM live.raw_event WHERE kind = 'telemetry' AND at >= %s AND at < %s"
        " AND starts_with(identity, %s)",
        [span.begin, span.end, f"{span.truck_id} "],
    )
    found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


def _set_document(cursor: Any, key: Sequence[Any], document: str) -> None:
    cursor.execute(f"UPDATE live.raw_event SET document = %s WHERE ({_KEY}) = (%s, %s, %s, %s, %s)", [document, *key])


def _forget_refused(cursor: Any, key: Sequence[Any]) -> int:
    _set_document(cursor, key, GONE.decode())
    cursor.execute(
        f"UPDATE live.quarantine SET payload = %s, reason = %s WHERE ({_KEY}) = (%s, %s, %s, %s, %s)",
        [GONE, REASON, *key],
    )
    return 1


def _has_position(record: Any) -> bool:
    quality = record.get("quality")
    return not (isinstance(quality, dict) and quality.get("gps_location") == REASON)


def _forms(identifiers: Iterable[str]) -> list[str]:
    """As UTF-8 and as JSON escapes it."""
    return sorted({form for each in identifiers for form in (each, json.dumps(each)[1:-1])})


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except psycopg.OperationalError as error:
        raise Retryable(
            f"the PostgreSQL of [streaming] database does not answer ({str(error).strip():.200}):"
            " start it, and run the same `milepost forget` again"
        ) from None


@contextmanager
def _there(url: str) -> Iterator[Any]:
    """A cursor within one transaction; None where the schema was never made."""
    with (
        _answering(),
        psycopg.connect(url, connect_timeout=_CONNECT_SECONDS) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SET TIME ZONE 'UTC'")
        row = cursor.execute("SELECT to_regclass('live.quarantine')").fetchone()
        yield cursor if row and row[0] else None
