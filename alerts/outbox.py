"""What is told to whom and when: messages for the outbox, and groups of them for one delivery. Pure."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from alerts.day_span import end_of_span
from alerts.settings import SEVERITIES, Receiver
from alerts.threads import Told
from collector.rows import OutboxMessage
from contract import timestamps
from contract.codec import dump, parse

_FIRST_WAIT_MS = 5_000
_LONGEST_WAIT_MS = 300_000
_MOST_TOGETHER = 100
"""Below the 256 KB of an SNS message."""


class Group(NamedTuple):
    """Messages of one rule and event, or one report, that go to a receiver in one delivery.

    ids: of the outbox. documents: as docs/alerts.md describes them. text: one line for people.
    """

    ids: tuple[str, ...]
    documents: tuple[dict[str, Any], ...]
    text: str
    event: str
    severity: str


def messages(receivers: Sequence[Receiver], told: Told, now_ms: int) -> list[OutboxMessage]:
    """One message for each receiver that wants it, due when it may be told."""
    thread, alert = told.thread, told.alert
    document = {
        "thread": thread.id,
        "number": thread.number,
        "event": told.event,
        "into": told.into,
        "at": timestamps.from_ms(now_ms),
        "alert": alert._asdict(),
    }
    return [
        OutboxMessage(
            f"{thread.id}#{thread.number}#{receiver.name}",
            receiver.name,
            due_ms(receiver, alert.severity, now_ms),
            0,
            dump(document),
        )
        for receiver in receivers
        if SEVERITIES.index(alert.severity) >= SEVERITIES.index(receiver.at_least)
    ]


def due_ms(receiver: Receiver, severity: str, now_ms: int) -> int:
    """When a message of now may be told, Unix ms: after the wait for others, and not in quiet hours."""
    due = now_ms + round(receiver.wait_seconds * 1000)
    if receiver.quiet is None or severity == "critical":
        return due
    return end_of_span(receiver.quiet, receiver.zone, due) or due


def groups(due: Sequence[OutboxMessage]) -> list[Group]:
    """The deliveries that tell messages to one receiver: one for each rule and event and for each report, in the order
    of the messages."""
    found: dict[tuple[str, str], list[tuple[str, dict[str, Any]]]] = {}
    for message in due:
        document: Any = parse(message.text)
        if document["event"] == "report":
            found[message.id, "report"] = [(message.id, document)]
            continue
        found.setdefault((document["alert"]["rule"], document["event"]), []).append((message.id, document))
    return [
        _group(event, members[first : first + _MOST_TOGETHER])
        for (_, event), members in found.items()
        for first in range(0, len(members), _MOST_TOGETHER)
    ]


def retry_ms(attempts: int) -> int:
    """How long to wait after so many failed attempts: twice as long each time, five minutes at most."""
    return min(_LONGEST_WAIT_MS, _FIRST_WAIT_MS << min(attempts, 10))


def _group(event: str, members: list[tuple[str, dict[str, Any]]]) -> Group:
    if event == "report":
        [(id, document)] = members
        return Group((id,), (document,), _line(document["report"]), event, "info")
    alerts = [document["alert"] for _, document in members]
    severity = max((alert["severity"] for alert in alerts), key=SEVERITIES.index)
    subjects = sorted({alert["subject"] for alert in alerts})
    who = subjects[0] if len(subjects) == 1 else f"{len(subjects)} subjects"
    said = {"opening": "", "end": " (over)", "retraction": " (taken back: late data show that it was not so)"}[event]
    seen = f": {alerts[0]['evidence']}" if len(alerts) == 1 and alerts[0]["evidence"] else ""
    return Group(
        tuple(id for id, _ in members),
        tuple(document for _, document in members),
        f"{who}: {alerts[0]['title']}{seen}{said}",
        event,
        severity,
    )


def _line(report: dict[str, Any]) -> str:
    rows = f"the first {report['rows']:,}" if report["is_cut"] else f"{report['rows']:,}"
    return f"{report['title']}: {rows} rows from {report['from']} to {report['to']}"
