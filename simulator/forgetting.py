"""Forgetting in the simulated shop's outbox: what was to be sent of a person is sent under its pseudonyms."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from simulator import sent_ledger

_TEXTS = {"events": ("body", "reason"), "requests": ("subject", "path", "body", "reason", "customer_id")}


def forget(folder: Path, pseudonyms: Mapping[str, str]) -> Path | None:
    """Replace identifiers in the outbox under the data folder; one transaction.

    Args:
        folder: the data directory.
        pseudonyms: identifier → what stands in its place.

    Returns:
        The outbox, which is to be written anew without old pages; None where there is none.
    """
    path = folder / sent_ledger.OUTBOX
    if not path.exists():
        return None
    with closing(sqlite3.connect(path, timeout=30)) as connection, connection:
        connection.execute("PRAGMA secure_delete = ON")
        for table, columns in _TEXTS.items():
            for column in columns:
                for identifier, pseudonym in pseudonyms.items():
                    connection.execute(
                        f"UPDATE {table} SET {column} = replace({column}, ?, ?) WHERE instr({column}, ?) > 0",
                        [identifier, pseudonym, identifier],
                    )
    return path
