"""Keeps the documents of customers, items and vehicles, and their versions."""

from collections.abc import Sequence
from typing import Any, Literal, cast

from sqlalchemy import Connection, delete, func, select, update

from collector.history import Point, Run, Version, plan, start
from commerce.fields import Accepted
from commerce.registers.documents import VALID_FROM, Kind
from commerce.storage.database import Database
from commerce.storage.schema import register_documents, register_subjects, register_versions
from contract import machine_clock, timestamps
from contract.codec import Json, content_hash, parse
from contract.codec import canonical as canonical_text
from contract.forgotten import Forgotten

Status = Literal["accepted", "duplicate"]
Rows = list[dict[str, Any]]
_INSTANT = len(timestamps.EARLIEST)


class Register:
    """One kind of subject in one database. Each put is one transaction, durable when it returns."""

    def __init__(self, database: Database, kind: Kind, *, forgotten: Forgotten | None = None) -> None:
        self._database, self._kind, self._forgotten = database, kind, forgotten

    def put(self, document: Accepted, *, received_ms: int) -> Status:
        """Keep one judged document of a subject.

        The document holds from its `valid_from`, else from its arrival. A document without `valid_from` that says what
        the one in force says is a duplicate: it tells nothing new.
        What was forgotten counts as known too, and is not kept.

        Args:
            document: judged by the kind's `read`.
            received_ms: Unix ms of its arrival.

        Returns:
            accepted, or duplicate for what is known already; durable when it returns.
        """
        valid_from = document.record.get(VALID_FROM)
        if self._forgotten is not None and is_forgotten(document, self._forgotten):
            return "duplicate"
        with self._database.write() as connection:
            self._lock(connection, document.id)
            key = _tracked_key(document.record)
            if valid_from is None and self._newest_key(connection, document.id, received_ms) == key:
                return "duplicate"
            order_key = f"{valid_from or timestamps.from_ms(received_ms)}#{document.content}"
            row = {
                "kind": self._kind.name,
                "subject_id": document.id,
                "order_key": order_key,
                "key": key,
                "received_ms": received_ms,
                "document": document.text,
            }
            kept = connection.execute(
                self._database.insert(register_documents).values(**row).on_conflict_do_nothing()
            ).rowcount
            if not kept:
                return "duplicate"
            self._plan(connection, document.id)
        return "accepted"

    def current(self, subject_id: str) -> dict[str, Json] | None:
        """The document in force now.

        Args:
            subject_id: whose.

        Returns:
            None for an unknown subject, and for one that is known from a later time on only.
        """
        rows = self._in_force(subject_id)
        return rows[0]["document"] if rows else None

    def all_current(self) -> Rows:
        """The document in force now of every subject.

        Returns:
            By id.
        """
        return [row["document"] for row in self._in_force(None)]

    def _in_force(self, subject_id: str | None) -> Rows:
        """Of each subject its version now: what is put for a later time waits for it."""
        now = timestamps.from_ms(machine_clock.now_ms())
        newest: dict[str, dict[str, Any]] = {}
        for row in self._select(subject_id, after=now):
            arrived = timestamps.from_ms(row.pop("received_ms"))  # whatever a clock says now, that moment is over
            if row["effective_start_date"] <= max(now, arrived):
                newest[row["subject_id"]] = row
        return list(newest.values())

    def versions(self, subject_id: str | None = None) -> Rows:
        """The versions of one subject, or of all.

        Args:
            subject_id: of one subject; None for all, by id.

        Returns:
            Oldest first: `{subject_id, effective_start_date, effective_end_date, is_current, document}`.
        """
        rows = self._select(subject_id)
        for row in rows:
            del row["received_ms"]
        return rows

    def _select(self, subject_id: str | None, *, after: str | None = None) -> Rows:
        """Versions by id and start, only those that hold after a moment where one is given."""
        versions, documents = register_versions, register_documents
        same = (documents.c.kind == versions.c.kind) & (documents.c.subject_id == versions.c.subject_id)
        query = (
            select(
                versions.c.subject_id,
                versions.c.order_key,
                versions.c.end,
                documents.c.document,
                documents.c.received_ms,
            )
            .join(documents, same & (documents.c.order_key == versions.c.order_key))
            .where(versions.c.kind == self._kind.name)
            .order_by(versions.c.subject_id, versions.c.order_key)
        )
        if subject_id is not None:
            query = query.where(versions.c.subject_id == subject_id)
        if after is not None:
            query = query.where(versions.c.end.is_(None) | (versions.c.end > after))
        with self._database.read() as connection:
            rows = list(connection.execute(query))
        return [
            {
                "subject_id": row.subject_id,
                "effective_start_date": start(row.order_key),
                "effective_end_date": row.end,
                "is_current": row.end is None,
                "document": parse(row.document),
                "received_ms": row.received_ms,
            }
            for row in rows
        ]

    def _lock(self, connection: Connection, subject_id: str) -> None:
        """One writer at a time for a subject: PostgreSQL by its row, SQLite has one writer anyway."""
        names = {"kind": self._kind.name, "subject_id": subject_id}
        connection.execute(self._database.insert(register_subjects).values(**names).on_conflict_do_nothing())
        mine = [register_subjects.c[name] == value for name, value in names.items()]
        connection.execute(select(register_subjects).where(*mine).with_for_update())

    def _newest_key(self, connection: Connection, subject_id: str, received_ms: int) -> str | None:
        """Of the document that holds at a moment."""
        table = register_documents
        start_at = func.substr(table.c.order_key, 1, _INSTANT)
        query = select(table.c.key).where(
            table.c.kind == self._kind.name,
            table.c.subject_id == subject_id,
            start_at <= timestamps.from_ms(received_ms),
        )
        return cast(str | None, connection.execute(query.order_by(table.c.order_key.desc()).limit(1)).scalar())

    def _plan(self, connection: Connection, subject_id: str) -> None:
        """The versions of all documents, by the collector's own plan; a subject has few, so all are looked at."""
        table = register_versions
        mine = (table.c.kind == self._kind.name, table.c.subject_id == subject_id)
        stored = tuple(
            Version(row.order_key, row.key, row.end)
            for row in connection.execute(select(table).where(*mine).order_by(table.c.order_key))
        )
        steps = plan([Run(None, self._points(connection, subject_id), stored, None)])
        for order_key in steps.remove:
            connection.execute(delete(table).where(*mine, table.c.order_key == order_key))
        for order_key, end in steps.close:
            connection.execute(update(table).where(*mine, table.c.order_key == order_key).values(end=end))
        for version in steps.put:
            row = {"key": version.key, "end": version.end}
            names = {"kind": self._kind.name, "subject_id": subject_id, "order_key": version.order_key}
            insert = self._database.insert(table).values(**names, **row)
            connection.execute(insert.on_conflict_do_update(index_elements=[*names], set_=row))

    def _points(self, connection: Connection, subject_id: str) -> tuple[Point, ...]:
        table = register_documents
        rows: Sequence[Any] = connection.execute(
            select(table.c.order_key, table.c.key)
            .where(table.c.kind == self._kind.name, table.c.subject_id == subject_id)
            .order_by(table.c.order_key)
        ).all()
        return tuple(Point(row.order_key, row.key) for row in rows)


def is_forgotten(document: Accepted, marks: Forgotten) -> bool:
    """Whether it says what was forgotten: the very document, or what held of its subject before that."""
    valid_from = document.record.get(VALID_FROM)
    came_before = marks.is_forgotten(content_mark(document.content), "")
    return came_before or (valid_from is not None and marks.is_forgotten(document.id, valid_from))


def content_mark(content: str) -> str:
    """Under which a document that was forgotten is marked, so that its redelivery is known.

    Args:
        content: the document's content hash.

    Returns:
        What contract.forgotten is given in an id's place.
    """
    return f"document {content}"


def _tracked_key(record: dict[str, Json]) -> str:
    """What makes a version: all that is said, but not from when."""
    return content_hash(canonical_text({name: value for name, value in record.items() if name != VALID_FROM}))
