"""Asks trucks for the holes in their streams, once a second, for as long as the box runs (docs/architecture.md).

It is also the only brake there is: a broker acknowledges a backlog faster than the store takes it, and drops what is
beyond its queue. So nothing is asked for while messages pile up, and at once no more than the queue has room for.
"""

import logging
import threading
import time
from typing import Protocol

from collector.gap_repair import Ask, due
from collector.stores import Store
from contract import machine_clock
from contract.errors import Retryable
from standalone.group_commit_writer import Writer

log = logging.getLogger(__name__)

_EVERY_SECONDS = 1.0
_SHARE = 20
"""It takes the writer's time, and a ledger with holes 0.1 ms: of thousands of trucks that come back with a backlog no
more than a twentieth of the time goes into asking, and the rest into storing what they send."""


_MOST = 20_000
"""Samples asked for at once: some 30 MB of the 256 MB that the broker queues for the collector."""


class Uplink(Protocol):
    """What it needs of the collector's MQTT session (standalone.mqtt_consumer)."""

    @property
    def is_behind(self) -> bool: ...

    def ask(self, ask: Ask) -> None:
        """Publish a resend request, QoS 1, without waiting; one that does not arrive is due again later.

        Args:
            ask: which truck, stream and ranges.
        """
        ...


def keep_asking(writer: Writer, uplink: Uplink, *, grace_ms: int, stop: threading.Event) -> None:
    """For a thread of its own, until `stop`."""
    took = 0.0

    def find(store: Store) -> tuple[list[Ask], float]:
        began = time.monotonic()
        asks = due(store, now_ms=machine_clock.now_ms(), grace_ms=grace_ms, most=_MOST)
        return asks, time.monotonic() - began

    while not stop.wait(max(_EVERY_SECONDS, took * _SHARE)):
        if uplink.is_behind:
            continue
        try:
            asks, took = writer.call(find).result()
        except Retryable as error:
            log.warning("repair_postponed reason=%s", error)
            continue
        except Exception:  # the loop's door: a fault here must not end gap repair
            log.exception("repair_failed")
            continue
        for ask in asks:
            log.info("resend_asked truck=%s ranges=%s", ask.truck_id, ask.request.ranges)
            uplink.ask(ask)
