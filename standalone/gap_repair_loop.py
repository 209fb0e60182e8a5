"""Asks trucks for the holes in their streams, once a second, for as long as the box runs (docs/architecture.md)."""

import logging
import threading
import time
from collections.abc import Callable

from collector.gap_repair import Ask, due
from contract.errors import Retryable
from standalone.group_commit_writer import Writer

log = logging.getLogger(__name__)

_EVERY_SECONDS = 1.0


def keep_asking(writer: Writer, publish: Callable[[Ask], None], *, grace_ms: int, stop: threading.Event) -> None:
    """For a thread of its own, until `stop`."""
    while not stop.wait(_EVERY_SECONDS):
        now = time.time_ns() // 1_000_000
        try:
            asks = writer.call(lambda store, now=now: due(store, now_ms=now, grace_ms=grace_ms)).result()  # type: ignore[misc]
        except Retryable as error:
            log.warning("repair_postponed reason=%s", error)
            continue
        except Exception:  # the loop's door: a fault here must not end gap repair
            log.exception("repair_failed")
            continue
        for ask in asks:
            log.info("resend_asked truck=%s ranges=%s", ask.truck_id, ask.request.ranges)
            publish(ask)
