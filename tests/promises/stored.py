"""Samples, events and letters to store, and the plans that a test applies."""

from dataclasses import replace

from collector.completeness.ledger import StreamLedger
from collector.history import Point, Run, Steps, Version, plan
from collector.rows import Counter, DeadLetter, StoredClick, StoredSample
from collector.stores import Change, Store, TruckHead
from contract.ranges import Ranges

NOON = "2024-06-01T12:00:00.000Z"
LATER = "2024-06-01T13:00:00.000Z"


def a_sample(order_key: str, key: str = "k", **more: object) -> StoredSample:
    stored = StoredSample(order_key, key, "s1", 1, f"content of {order_key}", 1000, False, '{"truck_id":"T1"}')
    return stored._replace(**more)  # type: ignore[arg-type]


def a_click(event_id: str, **more: object) -> StoredClick:
    counter = Counter("2024-06-01T12:00Z", "A13", "Boots", "view")
    return replace(StoredClick(event_id, NOON, "v1", "/", counter, 1, 1000, "{}"), **more)  # type: ignore[arg-type]


def a_letter(id: str, **more: object) -> DeadLetter:
    return replace(DeadLetter(id, 1000, "file:telemetry", "seq", "because", b"\xff{"), **more)  # type: ignore[arg-type]


def opening(*points: Point, before: Version | None = None) -> Steps:
    """The plan for points beyond all that is stored."""
    return plan((Run(before, points, (), None),))


def applied(store: Store, truck_id: str, read: TruckHead, steps: Steps, latest: str) -> TruckHead:
    """What was planned with the head `read`."""
    return store.apply(truck_id, read, Change(steps, latest))


def keep(store: Store, truck_id: str, ledgers: dict[str, StreamLedger]) -> None:
    """Write the ledgers of some of a truck's streams."""
    store.apply(truck_id, store.head(truck_id, set(ledgers)), Change(ledgers=ledgers))


def kept(store: Store, truck_id: str, stream_id: str) -> StreamLedger:
    return store.head(truck_id, {stream_id}).ledgers[stream_id]


def received(*numbers: int) -> StreamLedger:
    return StreamLedger().receive(Ranges.of_numbers(numbers), 1000)


def first(store: Store, truck_id: str = "T1", order_key: str = f"{NOON}#a") -> TruckHead:
    """One sample, put and applied."""
    with store.unit():
        store.put_samples(truck_id, [a_sample(order_key)])
        applied(store, truck_id, store.head(truck_id), opening(Point(order_key, "k")), order_key)
    return store.head(truck_id)


def put_everything(store: Store) -> None:
    """One of each thing that can be written."""
    store.remember_policy("policy")
    order_key = f"{LATER}#z"
    store.put_samples("T9", [a_sample(order_key)])
    applied(store, "T9", TruckHead(), opening(Point(order_key, "k")), order_key)
    keep(store, "T9", {"s1": received(2)})
    store.put_status("T9", "{}")
    store.put_clicks([a_click("e9")])
    store.put_dead_letters([a_letter("d9")])


def what_is_there(store: Store) -> list[bool]:
    return [
        store.policy() == "policy",
        store.truck_ids() == ["T9"],
        store.latest("T9") is not None,
        store.head("T9").rev > 0,
        store.version_count("T9") == 1,
        kept(store, "T9", "s1") == received(2),
        store.status("T9") == "{}",
        len(list(store.click_counts())) == 1,
        len(list(store.clicks())) == 1,
        len(list(store.dead_letters())) == 1,
    ]
