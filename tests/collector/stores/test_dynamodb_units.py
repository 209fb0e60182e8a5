"""What DynamoDB bills, by ReturnConsumedCapacity: the steady cost, and reads that do not grow with history."""

from typing import Any

import pytest

from collector import queries
from contract import timestamps
from tests.budget import budget
from tests.collector.stores.cloud import Cloud
from tests.contract.examples import RECEIVED_MS, put, sample

BRAKES = "vehicle_health_and_maintenance.brake_status"
STREAM = "0123456789abcdef0123456789abcdef"


def _record(seq: int, status: str = "ok") -> dict[str, Any]:
    """Every 10 s, in the last hour before it is received."""
    at = timestamps.from_ms(RECEIVED_MS - 3_600_000 + seq * 10_000)
    return put(sample(truck_id="TRUCK-00001", stream_id=STREAM, seq=seq, sampled_at=at), BRAKES, status)


@pytest.fixture
def steady(cloud: Cloud) -> Cloud:
    """A truck that is known, and drives on."""
    cloud.on_topic("TRUCK-00001", _record(1))
    cloud.client.take()
    return cloud


def _written(cloud: Cloud) -> float:
    return cloud.client.take()[0]


def test_a_sample_alone_costs_two_write_units(steady: Cloud) -> None:
    for seq in range(2, 8):
        steady.on_topic("TRUCK-00001", _record(seq))
        assert _written(steady) == 2


@pytest.mark.parametrize(("together", "units"), [(10, 11), (30, 31), (60, 62)])
def test_n_together_cost_n_and_one_a_chunk(steady: Cloud, together: int, units: int) -> None:
    steady.on_topic("TRUCK-00001", *(_record(seq) for seq in range(2, 2 + together)))
    assert _written(steady) == units


def test_a_sample_that_comes_again_costs_as_much_as_any(steady: Cloud) -> None:
    """A delivery that was received earlier than the stored one costs an act more, once; others write nothing for it."""
    written = []
    for later_ms in (0, 1, -1, 0, -1):
        steady.on_topic("TRUCK-00001", _record(1), received_ms=RECEIVED_MS + later_ms)
        written.append(_written(steady))
    again = written[0]
    assert again <= 2
    assert written == [again, again, again + 6, again, again]


def test_a_version_change_costs_three_more(steady: Cloud) -> None:
    """A transaction of the head and the version that begins; the one before it is left as it is."""
    steady.on_topic("TRUCK-00001", _record(2, "worn"))
    assert _written(steady) == 2 + 3


def test_a_late_sample_that_changes_nothing_costs_as_much_as_any(steady: Cloud) -> None:
    steady.on_topic("TRUCK-00001", _record(9))
    steady.client.take()
    steady.on_topic("TRUCK-00001", _record(8))
    assert _written(steady) == 2


def test_a_truck_with_holes_costs_no_more(steady: Cloud) -> None:
    """Up to 16 ranges stand in the head."""
    steady.on_topic("TRUCK-00001", *(_record(seq) for seq in range(3, 9, 2)))
    steady.client.take()
    steady.on_topic("TRUCK-00001", _record(10))
    assert _written(steady) == 2


def test_where_a_truck_stands_now_takes_its_newest_sample_and_its_last_version(steady: Cloud) -> None:
    """No look for a version after the last."""
    [row] = queries.trucks(steady.store, "TRUCK-00001")
    assert row["current"]["is_current"]
    assert steady.client.take()[1] == 2


@budget(1_000, 100_000)
def test_an_as_of_read_costs_the_same_with_one_version_and_with_many(cloud: Cloud, examples: int) -> None:
    cloud.on_topic("TRUCK-00001", _record(1))
    cloud.client.take()
    until_ms = RECEIVED_MS - 7_200_000
    now, then = timestamps.from_ms(RECEIVED_MS), timestamps.from_ms(until_ms - examples * 500)
    [held] = queries.history(cloud.store, "TRUCK-00001", now)
    alone = cloud.client.take()
    assert queries.history(cloud.store, "TRUCK-00001", then) == []
    cloud.grow("TRUCK-00001", until_ms - examples * 1_000, examples, 1_000)
    cloud.client.take()
    assert queries.history(cloud.store, "TRUCK-00001", now) == [held]
    assert cloud.client.take() == alone
    [middle] = queries.history(cloud.store, "TRUCK-00001", then)
    assert middle["effective_start_date"] <= then < middle["effective_end_date"]
    assert cloud.client.take() == alone
    print(f"\nas-of read: {alone[1]} read units with 1 version and with {examples + 1}")
