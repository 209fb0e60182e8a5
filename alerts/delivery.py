"""Tells a receiver what waits for it. At least once: a kill between telling and noting it tells again."""

import logging
from collections.abc import Callable

from alerts import outbox
from alerts.outbox import Group
from alerts.senders import Untold
from alerts.settings import Receiver
from alerts.writing import Writing
from collector.stores import Reader

log = logging.getLogger(__name__)

_MOST = 1_000

Send = Callable[[Receiver, Group], None]


def deliver(receiver: Receiver, reader: Reader, write: Writing, send: Send, now_ms: int) -> int:
    """Tell a receiver what is due; what it does not take is tried again later, for as long as it takes.

    Args:
        receiver: who.
        reader: of the store.
        write: see `alerts.writing.Writing`.
        send: `alerts.senders.send`.
        now_ms: Unix ms.

    Returns:
        How many messages it took.
    """
    due = reader.outbox(receiver.name, now_ms, _MOST)
    told = 0
    for group in outbox.groups(due):
        ids = group.ids
        try:
            send(receiver, group)
        except Untold as error:
            waits = {each.id: now_ms + outbox.retry_ms(each.attempts) for each in due if each.id in ids}
            log.warning("alert_not_told receiver=%s messages=%d reason=%s", receiver.name, len(ids), error)
            write(lambda store, waits=waits: store.settle_outbox([], waits))  # type: ignore[misc]
        else:
            write(lambda store, ids=ids: store.settle_outbox(ids, {}))  # type: ignore[misc]
            told += len(ids)
    return told
