"""Gap repair, the cloud's end: which trucks to ask for what, remembered before it is asked (DESIGN §5.2)."""

from dataclasses import dataclass

from collector.stores import Store
from contract.messages import Resend


@dataclass(frozen=True, slots=True)
class Ask:
    """A resend request for one truck."""

    truck_id: str
    request: Resend


def due(store: Store, *, now_ms: int, grace_ms: int) -> list[Ask]:
    """The requests to publish now; the ledgers count them as made. Most calls find none and write nothing."""
    asks = []
    for truck_id, stream_id, known in store.incomplete():
        ranges, _ = known.ask(now_ms, grace_ms)
        if not ranges:
            continue
        with store.unit():
            ranges, ledger = store.ledger(truck_id, stream_id).ask(now_ms, grace_ms)
            store.put_ledgers(truck_id, {stream_id: ledger})
        if ranges:
            asks.append(Ask(truck_id, Resend(stream_id=stream_id, ranges=list(ranges))))
    return asks
