"""Keeps the documents of customers, items and vehicles, and their versions."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Table, delete, select, update

from collector.history import Point, Run, Version, plan, start
from commerce.fields import Accepted
from commerce.registers.documents import VALID_FROM, Kind
from commerce.registers.precedence import Delivery, holding
from commerce.storage.database import Database
from commerce.storage.schema import register_documents, register_subjects, register_versions
from contract import machine_clock, timestamps
from contract.codec import Json, content_hash, parse
from contract.codec import canonical as canonical_text
from contract.forgotten import Forgotten

Status = Literal["accepted", "duplicate"]
Rows = list[dict[str, Any]]
_COMES_WITHIN_MS = 3_600_000
"""A delivery is stored so long after its arrival at the latest."""


class Register:
    """One kind of subject in one database. Each call that puts is one transaction, durable when it returns."""

    def __init__(self, database: Database, kind: Kind, *, forgotten: Forgotten | None = None) -> None:
        self._database, self._kind, self._forgotten = database, kind, forgotten

    def put(self, document: Accepted, *, received_ms: int) -> Status:
        """Keep one judged document of a subject.

        The document holds from its `valid_from`, else from its arrival. Of two for one time that counts which was
        received later (commerce.registers.precedence). A document without `valid_from` that says what the one in force
        says is a duplicate: it tells nothing new.
        What was forgotten counts as known too, and is not kept.

        Args:
            document: judged by the kind's `read`.
            received_ms: Unix ms of its arrival.

        Returns:
            accepted, or duplicate for what is known already and changes nothing; durable when it returns.
        """
        [status] = self.put_all([(document, received_ms)])
        return status

    def put_all(self, deliveries: Sequence[tuple[Accepted, int]]) -> list[Status]:
        """Keep judged documents, as `put` does each, in one transaction.

        Args:
            deliveries: each document, and Unix ms of its arrival; a subject may come several times.

        Returns:
            For each, in order, what `put` says; all are durable when it returns.
        """
        marks = self._forgotten
        forgotten = [marks is not None and is_forgotten(document, marks) for document, _ in deliveries]
        if all(forgotten):
            return ["duplicate"] * len(deliveries)
        subjects = {document.id for (document, _), gone in zip(deliveries, forgotten, strict=True) if not gone}
        with self._database.write() as connection:
            for subject_id in sorted(subjects):  # in one order: two imports never wait for each other
                self._lock(connection, subject_id)
            return [
                "duplicate" if gone else self._put(connection, document, received_ms)
                for (document, received_ms), gone in zip(deliveries, forgotten, strict=True)
            ]

    def _put(self, connection: Connection, document: Accepted, received_ms: int) -> Status:
        valid_from = document.record.get(VALID_FROM)
        before = self._deliveries(connection, document.id)
        instant = valid_from or timestamps.from_ms(received_ms)
        new = Delivery(f"{instant}#{document.content}", _tracked_key(document.record), received_ms)
        known = before.get(new.order_key)
        if known and known.received_ms >= received_ms:
            return "duplicate"
        was, now = holding(before.values()), holding({**before, new.order_key: new}.values())
        repeated = None
        if valid_from is None and was == now:
            repeated = self._repeated(connection, document.id, new.key)
            self._drop_repeats(connection, document.id, before, was, until_ms=received_ms - _COMES_WITHIN_MS)
        self._keep(connection, document.id, new, repeated or document.text)
        if was != now:
            self._plan(connection, document.id, now)
        return "duplicate" if was == now and (known or repeated) else "accepted"

    def _repeated(self, connection: Connection, subject_id: str, key: str) -> str | None:
        """The text of what said the same before, which a repeat is kept as: a name in it may have been forgotten.

        None where nothing said it: another document came in the same millisecond, and holds.
        """
        table = register_documents
        same = select(table.c.document).where(*self._of(table, subject_id), table.c.key == key).limit(1)
        found = connection.execute(same).scalar_one_or_none()
        return None if found is None else canonical_text({**parse(found), VALID_FROM: None})

    def _drop_repeats(
        self,
        connection: Connection,
        subject_id: str,
        before: Mapping[str, Delivery],
        held: Sequence[Point],
        *,
        until_ms: int,
    ) -> None:
        """Repeats matter while what was received before them may still come; a subject keeps few, however often the
        same file is imported."""
        holds = {point.order_key for point in held}
        said = Counter(each.key for each in before.values())
        table, mine = register_documents, self._of(register_documents, subject_id)
        for each in before.values():
            past = each.holds_from_arrival and each.received_ms < until_ms and each.order_key not in holds
            if past and said[each.key] > 1:  # the last to say so stays
                said[each.key] -= 1
                connection.execute(delete(table).where(*mine, table.c.order_key == each.order_key))

    def _keep(self, connection: Connection, subject_id: str, new: Delivery, text: str) -> None:
        """Keep a document, or the later receipt of one that is there."""
        table = register_documents
        row = {"kind": self._kind.name, "subject_id": subject_id, **new._asdict(), "document": text}
        insert = self._database.insert(table).values(**row)
        names = [column.name for column in table.primary_key]
        connection.execute(insert.on_conflict_do_update(index_elements=names, set_={"received_ms": new.received_ms}))

    def _of(self, table: Table, subject_id: str) -> tuple[ColumnElement[bool], ...]:
        """The condition that a row is one subject's."""
        return table.c.kind == self._kind.name, table.c.subject_id == subject_id

    def _deliveries(self, connection: Connection, subject_id: str) -> dict[str, Delivery]:
        """Of one subject, by order key; it has few, so all are looked at."""
        table = register_documents
        query = select(table.c.order_key, table.c.key, table.c.received_ms).where(*self._of(table, subject_id))
        return {row.order_key: Delivery(*row) for row in connection.execute(query)}

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

    def _plan(self, connection: Connection, subject_id: str, points: tuple[Point, ...]) -> None:
        """The versions of what holds, by the collector's own plan."""
        table = register_versions
        mine = self._of(table, subject_id)
        stored = tuple(
            Version(row.order_key, row.key, row.end)
            for row in connection.execute(select(table).where(*mine).order_by(table.c.order_key))
        )
        steps = plan([Run(None, points, stored, None)])
        for order_key in steps.remove:
            connection.execute(delete(table).where(*mine, table.c.order_key == order_key))
        for order_key, end in steps.close:
            connection.execute(update(table).where(*mine, table.c.order_key == order_key).values(end=end))
        for version in steps.put:
            row = {"key": version.key, "end": version.end}
            names = {"kind": self._kind.name, "subject_id": subject_id, "order_key": version.order_key}
            insert = self._database.insert(table).values(**names, **row)
            connection.execute(insert.on_conflict_do_update(index_elements=[*names], set_=row))


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
