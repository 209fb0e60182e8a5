"""From the alerts of a subject as they are now to what is written: rows, threads and messages. Pure.

Rows of a subject: `alert#START#ID`, `thread#ID`, and `ack#ID`, which only `milepost alerts ack` and the console write.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from alerts.alert import Alert
from alerts.threads import Thread, Told, update_threads
from collector.rows import AlertChange, AlertRow, OutboxMessage
from contract import timestamps
from contract.codec import dump, parse

KEPT_MS = 90 * 86_400_000
"""So long after its end an alert is kept."""
_NEWS_MS = 86_400_000
_MOST = 80

Scope = Mapping[str, str]
"""Rule → the instant from which on its alerts are all known: what lies before is left as it is."""
Enqueue = Callable[[Told, int], Sequence[OutboxMessage]]
"""The messages of one thing to tell, at Unix ms: one for each receiver that wants it."""


def changes(  # noqa: PLR0913 - the subject's state before and now
    subject: str,
    revision: int,
    rows: Sequence[AlertRow],
    alerts: Sequence[Alert],
    *,
    scope: Scope,
    enqueue: Enqueue,
    now_ms: int,
) -> Iterator[AlertChange]:
    """The acts that bring a subject's rows to what its alerts are now, in order; none where nothing changed.

    Each thread changes in one act with its messages, so that it is told once whatever is killed in between. What ended
    before KEPT_MS is neither written nor told: a loss or a certificate of last year is found at each look.

    Args:
        subject: of them all.
        revision: read before the rows.
        rows: of the subject.
        alerts: of the rules in scope, as they are now.
        scope: see there.
        enqueue: makes messages.
        now_ms: Unix ms.
    """
    oldest = timestamps.from_ms(now_ms - KEPT_MS)
    before = alerts_in(rows)
    kept = {key: alert for key, alert in before.items() if alert.start < scope.get(alert.rule, "9999")}
    found = {_key(alert): alert for alert in alerts if alert.start >= scope[alert.rule]}
    now = {key: alert for key, alert in {**kept, **found}.items() if alert.end is None or alert.end >= oldest}
    put = {key: dump(alert._asdict()) for key, alert in now.items() if before.get(key) != alert}
    remove = [key for key in before if key not in now]
    threads = [thread_in(row) for row in rows if row.key.startswith("thread#")]
    told_of = [thread for thread in threads if thread.rule in scope and not _is_outlived(thread, oldest)]
    current = sorted((alert for alert in now.values() if alert.rule in scope), key=lambda alert: alert.start)
    news_from = timestamps.from_ms(now_ms - _NEWS_MS)
    changed, told = update_threads(
        told_of,
        current,
        [*before.values()],
        lambda alert: alert.kind == "lost_samples" or (alert.kind != "silent" and (alert.end or "9999") >= news_from),
    )
    if put or remove or changed:
        remove += [f"thread#{thread.id}" for thread in threads if _is_outlived(thread, oldest)]
        remove += [row.key for row in rows if row.key.startswith("ack#") and _acked_at(row) < oldest]
    for acts in _acts(put, remove, changed, [(each, enqueue(each, now_ms)) for each in told]):
        yield AlertChange(subject, revision, *acts)
        revision += 1


def alert_in(row: AlertRow) -> Alert:
    """The alert of a row `alert#…`."""
    document: Any = parse(row.text)
    samples = tuple((at, value) for at, value in document.pop("samples", ()))
    return Alert(**document, samples=samples)


def alerts_in(rows: Iterable[AlertRow]) -> dict[str, Alert]:
    """The alerts among rows of all kinds, each by its row's key."""
    return {row.key: alert_in(row) for row in rows if row.key.startswith("alert#")}


def thread_in(row: AlertRow) -> Thread:
    """The thread of a row `thread#…`."""
    document: Any = parse(row.text)
    return Thread(**document)


def _key(alert: Alert) -> str:
    return f"alert#{alert.start}#{alert.id}"


def _is_outlived(thread: Thread, oldest: str) -> bool:
    """Whether a thread ended so long ago that nobody asks any more; one that was merged or taken back has no end."""
    return thread.state != "open" and (thread.end or thread.start) < oldest


def _acked_at(row: AlertRow) -> str:
    document: Any = parse(row.text)
    return str(document["at"])


_Act = tuple[dict[str, str], list[str], list[OutboxMessage]]


def _acts(
    put: Mapping[str, str],
    remove: Sequence[str],
    changed: Sequence[Thread],
    told: Sequence[tuple[Told, Sequence[OutboxMessage]]],
) -> Iterator[_Act]:
    """Acts of at most so many rows and messages; a thread's row and messages are in one."""
    act: _Act = ({}, [], [])
    pieces: list[_Act] = []  # threads first: a retraction says what the alert was, as long as that is there
    for thread in changed:
        messages = [message for each, made in told if each.thread.id == thread.id for message in made]
        pieces.append(({f"thread#{thread.id}": dump(thread.as_json())}, [], messages))
    pieces += [({key: text}, [], []) for key, text in put.items()]
    pieces += [({}, [key], []) for key in remove]
    for rows, keys, messages in pieces:
        if sum(map(len, act)) + len(rows) + len(keys) + len(messages) > _MOST and any(act):
            yield act
            act = ({}, [], [])
        act[0].update(rows)
        act[1].extend(keys)
        act[2].extend(messages)
    if any(act):
        yield act
