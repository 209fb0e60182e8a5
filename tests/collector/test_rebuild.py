"""Rebuild makes what is derived anew; verify finds where it is not what it must be."""

from pathlib import Path

import pytest

from collector import queries
from collector.history import TrackingPolicy
from collector.rebuild import rebuild, verify
from contract.errors import Misconfigured
from tests.collector.stores_on_disk import Collector
from tests.contract.examples import click, put, sample

BRAKES = "vehicle_health_and_maintenance.brake_status"


@pytest.fixture
def filled(collector: Collector) -> Collector:
    """Two trucks, four versions, two counters."""
    for truck in ("T1", "T2"):
        for seq, status in enumerate(["ok", "ok", "worn"], 1):
            record = put(sample(truck_id=truck, seq=seq, sampled_at=f"2024-06-01T10:0{seq}:00Z"), BRAKES, status)
            collector.take(record)
    collector.take(click(event_id="a"), click(event_id="b", item_id=None), kind="click")
    assert verify(collector.store, collector.policy) == []
    return collector


TAMPERED = {
    "a version's end": ("UPDATE versions SET end = '2024-06-01T10:02:00.000Z' WHERE end IS NOT NULL", "versions"),
    "a version's key": ("UPDATE versions SET key = '[]' WHERE end IS NOT NULL", "versions"),
    "a version too many": (
        "INSERT INTO versions SELECT truck_id, order_key || 'x', key, end FROM versions",
        "versions",
    ),
    "a version too few": ("DELETE FROM versions WHERE end IS NOT NULL", "versions"),
    "a sample's text": ("UPDATE samples SET text = replace(text, 'ok', 'no') WHERE seq = 2", "not what was stored"),
    "a sample's key": ("UPDATE samples SET key = '[]' WHERE seq = 2", "tracked key"),
    "a head": ("UPDATE heads SET latest = '2024-06-01T10:01:00.000Z#'", "head"),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_verify_finds(filled: Collector, what: str) -> None:
    statement, named = TAMPERED[what]
    filled.store._db.execute(f"{statement} {'AND' if 'WHERE' in statement else 'WHERE'} truck_id = 'T1'")
    faults = verify(filled.store, filled.policy)
    assert {fault["truck_id"] for fault in faults} == {"T1"}
    assert any(named in fault["fault"] for fault in faults)
    assert verify(filled.store, filled.policy, "T2") == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE click_counts SET count = count + 1 WHERE item_id = ''",
        "DELETE FROM click_counts WHERE item_id = 'A13'",
        "INSERT INTO click_counts VALUES ('2024-06-01T10:00Z', 'A', '', 'view', 1, 0)",
        "DELETE FROM clicks WHERE event_id = 'a'",
    ],
)
def test_verify_finds_a_counter_that_is_wrong(filled: Collector, statement: str) -> None:
    filled.store._db.execute(statement)
    assert [fault["truck_id"] for fault in verify(filled.store, filled.policy)] == [None]


def test_an_event_without_a_name_is_no_fault(collector: Collector) -> None:
    """An empty name and none are one."""
    collector.take(click(event_id="a", item_name=""), click(event_id="b", item_name=None), kind="click")
    assert verify(collector.store, collector.policy) == []
    [row] = queries.clicks(collector.store, "item")
    assert row == {"item_id": "A13", "item_name": None, "event_type": "click", "count": 2}


@pytest.mark.parametrize("what", [name for name in TAMPERED if name != "a sample's text"])
def test_rebuild_makes_it_right(filled: Collector, what: str) -> None:
    before = filled.history()
    filled.store._db.execute(TAMPERED[what][0])
    filled.store._db.execute("DELETE FROM click_counts")
    assert rebuild(filled.store, filled.policy) == {"trucks": 2, "versions": 4}
    assert verify(filled.store, filled.policy) == []
    assert filled.history() == before
    assert len(queries.clicks(filled.store, "item")) == 2


def test_rebuild_of_one_truck_leaves_the_others(filled: Collector) -> None:
    filled.store._db.execute("DELETE FROM versions")
    assert rebuild(filled.store, filled.policy, "T1") == {"trucks": 1, "versions": 2}
    assert {fault["truck_id"] for fault in verify(filled.store, filled.policy)} == {"T2"}


def test_rebuild_of_an_unknown_truck_makes_none(filled: Collector) -> None:
    assert rebuild(filled.store, filled.policy, "T9") == {"trucks": 0, "versions": 0}
    assert [row["truck_id"] for row in queries.trucks(filled.store)] == ["T1", "T2"]


def test_another_policy_is_refused_until_rebuild(filled: Collector, tmp_path: Path) -> None:
    filled.close()
    every = TrackingPolicy.of("every-sample")
    with pytest.raises(Misconfigured, match="milepost rebuild"):
        Collector(tmp_path / "milepost.db", every)
    store = filled.store.__class__(tmp_path / "milepost.db")
    assert rebuild(store, every)["versions"] == 6
    store.close()
    again = Collector(tmp_path / "milepost.db", every)
    assert len(again.history()) == 3
    assert again.faults() == []
    again.close()


def test_after_rebuild_ingest_goes_on_where_it_was(filled: Collector) -> None:
    rebuild(filled.store, filled.policy)
    filled.take(put(sample(seq=9, sampled_at="2024-06-01T10:00:30Z"), BRAKES, "worn"))
    filled.take(put(sample(seq=10, sampled_at="2024-06-01T11:00:00Z"), BRAKES, "ok"))
    assert len(filled.history()) == 4
    assert filled.faults() == []
