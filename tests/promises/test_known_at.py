"""`--known-at K` is the history of a store that had only received what came by K, on every store."""

import itertools
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector import queries
from collector.ingest import Ingest
from collector.stores import Store
from collector.stores.dynamodb import DynamoDbStore
from collector.stores.dynamodb.items import DAY_MS
from collector.stores.dynamodb.retries import Calls
from collector.stores.sqlite.store import SqliteStore
from contract import timestamps
from contract.ingest_items import Item
from tests.budget import budget
from tests.contract.examples import put
from tests.promises.conftest import Place
from tests.promises.rivals import BRAKES, NOW_MS, POLICIES
from tests.promises.torn_dynamodb import TornClient, TornTables

MINUTE = 60_000
numbers = itertools.count()
a_delivery = st.tuples(
    st.integers(0, 6),  # minute of the sample
    st.sampled_from(["ok", "worn", "gone"]),
    st.integers(0, 5),  # minute of its receipt
)


def take(store: Store, truck: str, deliveries: list[tuple[int, str, int]]) -> None:
    """In the order given, which is not that of receipt: rival handlers commit when they can."""
    for minute, status, received in deliveries:
        sampled_at = timestamps.from_ms(NOW_MS - 60 * MINUTE + minute * MINUTE)
        record: dict[str, Any] = put({"truck_id": truck, "sampled_at": sampled_at}, BRAKES, status)
        Ingest(store, POLICIES["exact"]).ingest(
            [Item("telemetry", "file:telemetry", record, NOW_MS + received * MINUTE)]
        )


@budget(12, 300)
def test_known_at_is_the_history_of_what_had_come(place: Place, tmp_path: Path, examples: int) -> None:
    store = place.store()

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(st.lists(a_delivery, min_size=1, max_size=8), st.integers(-1, 6))
    def check(deliveries: list[tuple[int, str, int]], known: int) -> None:
        truck = f"K{next(numbers)}"
        take(store, truck, deliveries)
        only = SqliteStore(tmp_path / f"{truck}.db")
        take(only, truck, [each for each in deliveries if each[2] <= known])
        known_at = timestamps.from_ms(NOW_MS + known * MINUTE)
        rows, retained_from = queries.history_known_at(store, truck, known_at)
        assert (rows, retained_from) == ([{**row, "reconstructed": True} for row in queries.history(only, truck)], None)
        for row in rows:
            at = row["effective_start_date"]
            held, _ = queries.history_known_at(store, truck, known_at, at)
            assert [{**row, "reconstructed": True} for row in queries.history(only, truck, at)] == held
        only.close()

    check()


def test_on_dynamodb_it_reaches_back_as_far_as_samples_are_retained() -> None:
    """Before the earliest retained sample the version in force is taken as stored, and older ones are not known."""
    now = [NOW_MS / 1000]
    tables = TornTables(lambda event: event())
    store = DynamoDbStore(
        "torn", calls=Calls(TornClient(tables), sleep=lambda _: None), clock=lambda: now[0], writers=1
    )
    first, second = (("worn", "ok"), ("ok", "gone"))
    for day, statuses in ((0, first), (30, second)):
        for minute, status in enumerate(statuses):
            at_ms = NOW_MS + day * DAY_MS + minute * MINUTE
            record = put({"truck_id": "T1", "sampled_at": timestamps.from_ms(at_ms)}, BRAKES, status)
            Ingest(store, POLICIES["exact"]).ingest([Item("telemetry", "file:telemetry", record, at_ms)])
    now[0] = (NOW_MS + 50 * DAY_MS) / 1000  # the samples of the first day have expired
    retained = timestamps.from_ms(NOW_MS + 30 * DAY_MS)
    rows, retained_from = queries.history_known_at(store, "T1", "2024-08-01T00:00:00.000Z")
    assert retained_from == retained
    assert [(row["reconstructed"], row["effective_start_date"]) for row in rows] == [
        (False, timestamps.from_ms(NOW_MS + MINUTE)),
        (True, timestamps.from_ms(NOW_MS + 30 * DAY_MS + MINUTE)),
    ]
    assert queries.history_known_at(store, "T1", timestamps.from_ms(NOW_MS + DAY_MS)) == ([], retained)
