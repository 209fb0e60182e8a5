"""What `trucks` and `history` answer (docs/commands.md)."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector import queries
from contract import timestamps
from tests.collector.stores_on_disk import Collector
from tests.contract.examples import put, sample

BRAKES = "vehicle_health_and_maintenance.brake_status"


def _at(minute: int, status: str, seq: int, **more: Any) -> dict[str, Any]:
    return put(sample(sampled_at=f"2024-06-01T10:{minute:02d}:00Z", seq=seq, **more), BRAKES, status)


@pytest.fixture
def filled(collector: Collector) -> Collector:
    """ok from 10:00, worn from 10:10, two at 10:20 of which the latter holds, ok from 10:30."""
    records = [
        _at(0, "ok", 1),
        _at(5, "ok", 2),
        _at(10, "worn", 3),
        _at(20, "hot", 4),
        _at(20, "cold", 5),
        _at(30, "ok", 6),
    ]
    collector.take(*records)
    return collector


def _held(collector: Collector, at: str) -> list[str]:
    rows = queries.history(collector.store, "T1", timestamps.parse(at, "at"))
    return [row["sample"]["vehicle_health_and_maintenance"]["brake_status"] for row in rows]


def test_versions_are_oldest_first_and_follow_on_one_another(filled: Collector) -> None:
    rows = queries.history(filled.store, "T1")
    bounds = [(row["effective_start_date"][14:16], (row["effective_end_date"] or "now")[14:16]) for row in rows]
    assert bounds == [("00", "10"), ("10", "20"), ("20", "20"), ("20", "30"), ("30", "")]
    assert [row["is_current"] for row in rows] == [False, False, False, False, True]


def test_a_version_has_the_opening_sample_whole(filled: Collector) -> None:
    [first, *_] = queries.history(filled.store, "T1")
    assert first["sample"] == _at(0, "ok", 1) | {"sampled_at": "2024-06-01T10:00:00.000Z"}
    assert list(first) == [
        "truck_id",
        "effective_start_date",
        "effective_end_date",
        "is_current",
        "load_timestamp",
        "sample",
    ]


@pytest.mark.parametrize(
    ("at", "held"),
    [
        ("2024-06-01T09:59:59.999Z", []),
        ("2024-06-01T10:00:00Z", ["ok"]),
        ("2024-06-01T10:09:59.999Z", ["ok"]),
        ("2024-06-01T10:10:00Z", ["worn"]),
        ("2024-06-01T10:19:59.999Z", ["worn"]),
        ("2024-06-01T10:20:00Z", ["cold"]),
        ("2024-06-01T10:20:00.001Z", ["cold"]),
        ("2024-06-01T12:30:00+02:00", ["ok"]),
        ("9999-12-31T23:59:59.999Z", ["ok"]),
        ("0001-01-01T00:00:00Z", []),
    ],
)
def test_at_gives_the_one_version_that_held(filled: Collector, at: str, held: list[str]) -> None:
    """From its start up to, not including, its end; never one of zero length."""
    assert _held(filled, at) == held


@settings(max_examples=60)
@given(data=st.data())
def test_at_any_time_the_version_around_it(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    collector = Collector(tmp_path_factory.mktemp("at") / "m.db")
    minutes = data.draw(st.lists(st.tuples(st.integers(0, 6), st.sampled_from("abc")), min_size=1, max_size=8))
    collector.take(*(_at(minute, status, seq) for seq, (minute, status) in enumerate(minutes, 1)))
    rows = queries.history(collector.store, "T1")
    for second in range(-30, 8 * 60, 30):
        at = timestamps.from_ms(timestamps.to_ms("2024-06-01T10:00:00.000Z") + second * 1000)
        around = [r for r in rows if r["effective_start_date"] <= at < (r["effective_end_date"] or "~")]
        assert queries.history(collector.store, "T1", at) == around
    collector.close()


def test_trucks_shows_the_newest_sample_and_the_current_version(filled: Collector) -> None:
    filled.take(_at(40, "ok", 7), _at(1, "late", 8, truck_id="T0"))
    first, second = queries.trucks(filled.store)
    assert (first["truck_id"], second["truck_id"]) == ("T0", "T1")
    assert (second["latest"]["seq"], second["current"]["sample"]["seq"]) == (7, 6)
    assert second["current"] == queries.history(filled.store, "T1")[-1]


def test_a_late_sample_is_not_the_latest(filled: Collector) -> None:
    filled.take(_at(2, "late", 9))
    assert queries.trucks(filled.store)[0]["latest"]["seq"] == 6


def test_what_is_not_known_is_empty(filled: Collector) -> None:
    assert queries.history(filled.store, "T9") == []
    assert queries.history(filled.store, "T9", "2024-06-01T10:00:00.000Z") == []
    assert queries.history(None, "T1") == []
    assert queries.trucks(None) == []
