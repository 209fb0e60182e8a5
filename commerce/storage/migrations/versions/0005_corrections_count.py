"""Of two documents of a subject for one time that counts which was received later, not that of the larger hash."""

from itertools import groupby
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_INSTANT = len("2026-01-01T00:00:00.000Z")
_NAMES = ("kind", "subject_id", "order_key", "key")
_documents = sa.table("register_documents", *map(sa.column, (*_NAMES, "received_ms")))
_versions = sa.table("register_versions", *map(sa.column, (*_NAMES, "end")))


def upgrade() -> None:
    """Make the versions of the subjects anew that have two documents for one time."""
    connection = op.get_bind()
    order = [_documents.c[name] for name in ("kind", "subject_id", "received_ms", "order_key")]
    rows = connection.execute(sa.select(_documents).order_by(*order)).all()
    for (kind, subject_id), group in groupby(rows, key=lambda row: (row.kind, row.subject_id)):
        found = list(group)
        held = {row.order_key[:_INSTANT]: row for row in found}
        if len(held) == len(found):
            continue
        opened: list[sa.Row[Any]] = []
        for start in sorted(held):
            if not opened or opened[-1].key != held[start].key:
                opened.append(held[start])
        ends = [*(row.order_key[:_INSTANT] for row in opened[1:]), None]
        mine = {"kind": kind, "subject_id": subject_id}
        of_it = [_versions.c[name] == value for name, value in mine.items()]
        connection.execute(sa.delete(_versions).where(*of_it))
        made = [
            {**mine, "order_key": row.order_key, "key": row.key, "end": end}
            for row, end in zip(opened, ends, strict=True)
        ]
        connection.execute(sa.insert(_versions), made)


def downgrade() -> None:
    """Not offered: an older program refuses a newer database."""
    raise NotImplementedError
