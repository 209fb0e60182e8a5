"""Gap repair, the cloud's end: which trucks to ask for what, remembered before it is asked (docs/architecture.md)."""

from collections.abc import Callable
from dataclasses import dataclass

from collector.completeness.ledger import StreamLedger
from collector.stores import Change, Conflict, Store
from contract.control_messages import Resend
from contract.ranges import Ranges


@dataclass(frozen=True, slots=True)
class Ask:
    """A resend request for one truck."""

    truck_id: str
    request: Resend


def due(
    store: Store,
    *,
    now_ms: int,
    grace_ms: int,
    observe: Callable[[StreamLedger], None] = lambda _: None,
    most: int | None = None,
) -> list[Ask]:
    """The requests to publish now; the ledgers count them as made. Most calls find none and write nothing.

    Args:
        store: of the trucks' ledgers.
        now_ms: Unix ms.
        grace_ms: how long a missing sample is only on its way.
        observe: called with each ledger that has a hole, as it was before this call.
        most: samples after which no other truck is asked, so that the answers find room on their way; None without
            bound. Trucks that are left out are due at the next call.

    Returns:
        One request to publish for each stream, truck by truck; the ledgers know already that these were asked for.
    """
    asks: list[Ask] = []
    asked = 0
    for truck_id, stream_id, known in store.incomplete():
        observe(known)
        ranges, _ = known.ask(now_ms, grace_ms)
        if not ranges or (most is not None and asked >= most):
            continue
        with store.unit():
            ranges = _remember(store, truck_id, stream_id, now_ms=now_ms, grace_ms=grace_ms)
        if ranges:
            asked += ranges.count
            asks.append(Ask(truck_id, Resend(stream_id=stream_id, ranges=list(ranges))))
    return asks


def _remember(store: Store, truck_id: str, stream_id: str, *, now_ms: int, grace_ms: int) -> Ranges:
    """What to ask for, none where another writer has changed the truck meanwhile: it will be due again."""
    head = store.head(truck_id, [stream_id])
    ranges, ledger = head.ledgers[stream_id].ask(now_ms, grace_ms)
    try:
        if ranges:
            store.apply(truck_id, head, Change(ledgers={stream_id: ledger}))
    except Conflict:
        return Ranges()
    return ranges
