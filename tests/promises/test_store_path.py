"""The whole path over every `Store`."""

from itertools import count

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.history import Point, TrackingPolicy, define
from collector.ingest import Ingest
from collector.stores import Store
from contract import timestamps
from contract.ingest_items import Item
from tests.promises.stored import NOON

numbers = count()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    found=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2), st.sampled_from("ab")), min_size=1, max_size=20),
    data=st.data(),
)
def test_any_delivery_ends_in_the_history_of_the_definition(
    store: Store, found: list[tuple[int, int, str]], data: st.DataObject
) -> None:
    """The whole path over this store: late, equal times, repeated, in any batches."""
    truck, policy = f"P{next(numbers)}", TrackingPolicy.of({"vehicle_health_and_maintenance.brake_status": "exact"})
    records = [
        {
            "truck_id": truck,
            "sampled_at": f"2024-06-01T10:0{minute}:00.000Z",
            "note": note,
            "vehicle_health_and_maintenance": {"brake_status": status},
        }
        for minute, note, status in found
    ]
    ingest = Ingest(store, policy)
    items = [
        Item("telemetry", "file:telemetry", record, timestamps.to_ms(NOON))
        for record in data.draw(st.permutations(records))
    ]
    while items:
        size = data.draw(st.integers(1, 6))
        ingest.ingest(items[:size])
        items = items[size:]
    points = [Point(sample.order_key, sample.key) for sample in store.samples(truck)]
    assert len(points) == len(set(found))
    assert [version for version, _ in store.versions(truck)] == define(points)


def test_a_store_says_how_many_samples_it_takes_at_a_time(store: Store) -> None:
    assert store.chunk > 0
