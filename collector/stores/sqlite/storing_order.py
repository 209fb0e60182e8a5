"""The order in which a table's rows were stored: their rowid, which only grows while rows are not renumbered.

A mark is `rowid:identity` of the last row that was read. VACUUM renumbers rows, a restored copy has fewer of them,
another file has others: in each case the row at the mark's rowid is not the marked one, and everything counts as new.
"""

import sqlite3

_IDENTITY = {"samples": "truck_id || '#' || order_key", "clicks": "event_id"}


def span(connection: sqlite3.Connection, table: str, mark: str | None) -> tuple[int, int, str | None]:
    """The rowids of what was stored after a mark: first exclusive, last inclusive, and the new mark.

    The first is 0 where the mark is None or means nothing in this file.
    """
    identity = _IDENTITY[table]
    last = connection.execute(f"SELECT rowid, {identity} FROM {table} ORDER BY rowid DESC LIMIT 1").fetchone()
    if last is None:
        return 0, 0, None
    return _start(connection, table, mark), last[0], f"{last[0]}:{last[1]}"


def _start(connection: sqlite3.Connection, table: str, mark: str | None) -> int:
    rowid, _, identity = (mark or "").partition(":")
    if not rowid.isdigit():
        return 0
    marked = connection.execute(f"SELECT {_IDENTITY[table]} FROM {table} WHERE rowid = ?", [int(rowid)]).fetchone()
    return int(rowid) if marked and marked[0] == identity else 0
