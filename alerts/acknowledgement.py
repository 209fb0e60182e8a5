"""Acknowledging an alert: somebody has seen it and cares for it. It changes nothing of what is told or judged."""

from collections.abc import Sequence
from typing import Any

from alerts.alert import Alert
from alerts.writing import Writing
from collector.rows import AlertChange, AlertRow
from collector.stores import Reader
from contract.codec import dump, parse

Acknowledgement = dict[str, Any]
"""`{at, by, note}`: RFC 3339, who, and what they said of it."""


class Acknowledgements:
    """Which alerts are acknowledged. An acknowledgement is of a trouble: it stays with an alert whose start moved.

    Args:
        rows: all alert rows, or those of the subjects in question.
    """

    def __init__(self, rows: Sequence[AlertRow]) -> None:
        self._found: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
        for row in rows:
            if row.key.startswith("ack#"):
                document: Any = parse(row.text)
                self._found.setdefault((row.subject, document["rule"], document["name"]), []).append(document)

    def of(self, alert: Alert) -> Acknowledgement | None:
        """The newest one of an alert, None where nobody has acknowledged it."""
        mine = [
            each
            for each in self._found.get((alert.subject, alert.rule, alert.name), ())
            if each["start"] <= (alert.end or "9999") and alert.start <= max(each["at"], each["end"] or "")
        ]
        newest = max(mine, key=lambda each: each["at"], default=None)
        return newest and {key: newest[key] for key in ("at", "by", "note")}


def acknowledge(  # noqa: PLR0913 - what is said of it
    reader: Reader, write: Writing, alert: Alert, *, by: str, at: str, note: str = ""
) -> None:
    """Acknowledge an alert, durably.

    Args:
        reader: of the store.
        write: see `alerts.writing.Writing`.
        alert: as it is now.
        by: who, up to 100 characters.
        at: RFC 3339, now.
        note: what they say of it, up to 500 characters.

    Raises:
        Conflict: another writer was first; the same again.
    """
    said = {"rule": alert.rule, "name": alert.name, "start": alert.start, "end": alert.end}
    text = dump({**said, "at": at, "by": by[:100], "note": note[:500]})
    change = AlertChange(alert.subject, reader.alert_revision(alert.subject), {f"ack#{alert.id}": text})
    write(lambda store: store.change_alerts(change))
