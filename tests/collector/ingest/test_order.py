"""History and ledger are functions of the set of samples: whatever the order, the batches and the repetitions."""

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector import queries
from collector.history import Point, TrackingPolicy, define
from collector.queries import complete
from contract.click_records import read_click
from contract.codec import Json, parse
from contract.records import read_sample
from tests.budget import budget
from tests.collector.stores_on_disk import Collector, statuses
from tests.contract.examples import RECEIVED_MS, click

BRAKES = ("ok", "worn")
numbers = count()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """One store for all examples, each with a truck of its own: a file for each would take the time."""
    opened = Collector(tmp_path_factory.mktemp("order") / "milepost.db")
    yield opened
    opened.close()


@st.composite
def samples(draw: st.DrawFn) -> dict[str, Json]:
    """Few instants, streams and numbers, so that equal times and conflicts are common; some without a number."""
    record: dict[str, Json] = {
        "sampled_at": f"2024-06-01T10:0{draw(st.integers(0, 5))}:00{draw(st.sampled_from(['Z', '.0004Z', '']))}",
        "vehicle_health_and_maintenance": {"brake_status": draw(st.sampled_from(BRAKES))},
    }
    if draw(st.booleans()):
        record |= {"stream_id": draw(st.sampled_from(["a", "b"])), "seq": draw(st.integers(1, 6))}
    return record


def _expected(records: Sequence[dict[str, Json]], policy: TrackingPolicy) -> list[tuple[str, str | None]]:
    """Start and end of each version, by the definition."""
    read = [read_sample(record, received_ms=RECEIVED_MS, date_by_arrival=False) for record in records]
    versions = define(Point(each.order_key, policy.key(each.record, each.order_key)) for each in read)
    return [(version.order_key[:24], version.end) for version in versions]


@budget(150, 5_000)
def test_any_delivery_makes_the_one_history_and_the_one_ledger(shared: Collector, examples: int) -> None:
    """Shuffled, repeated, cut into batches: the versions of the definition, and each number counted once."""

    @settings(max_examples=examples)
    @given(st.lists(samples(), min_size=1, max_size=25), st.data())
    def check(found: list[dict[str, Json]], data: st.DataObject) -> None:
        truck = f"T{next(numbers)}"
        records = [{**record, "truck_id": truck} for record in found]
        delivered = data.draw(st.permutations(records + data.draw(st.lists(st.sampled_from(records), max_size=8))))
        accepted = 0
        while delivered:
            size = data.draw(st.integers(1, 9))
            accepted += statuses(shared.take(*delivered[:size])).count("accepted")
            delivered = delivered[size:]
        rows = shared.history(truck)
        bounds = [(row["effective_start_date"], row["effective_end_date"]) for row in rows]
        assert bounds == _expected(records, shared.policy)
        assert [row["is_current"] for row in rows] == [False] * (len(rows) - 1) + [True]
        assert accepted == len({_content(record) for record in records})
        _check_ledger(shared, truck, records)

    check()
    assert not shared.faults()


def _content(record: dict[str, Json]) -> str:
    return read_sample(record, received_ms=RECEIVED_MS, date_by_arrival=False).content


def _check_ledger(shared: Collector, truck: str, records: Sequence[dict[str, Json]]) -> None:
    contents: dict[tuple[str, int], set[str]] = {}
    for record in records:
        if "seq" in record:
            contents.setdefault((record["stream_id"], record["seq"]), set()).add(_content(record))
    audited = queries.audit(shared.store, now_ms=RECEIVED_MS, grace_ms=1, truck_id=truck)
    assert {row["stream_id"] for row in audited["trucks"]} == {stream for stream, _ in contents}
    for row in audited["trucks"]:
        seen = {seq for stream, seq in contents if stream == row["stream_id"]}
        twice = {seq for (stream, seq), found in contents.items() if stream == row["stream_id"] and len(found) > 1}
        assert (row["received"], row["highest_seq"]) == (len(seen), max(seen))
        assert {seq for first, last in row["conflicts"] for seq in range(first, last + 1)} == twice
        missing = {seq for first, last in row["holes"] for seq in range(first, last + 1)}
        assert missing == set(range(1, max(seen))) - seen
    assert complete(audited)  # what is missing is within its grace time


@budget(60, 3_000)
def test_every_policy_makes_the_history_of_its_own_definition(tmp_path: Path, examples: int) -> None:
    every = Collector(tmp_path / "every.db", TrackingPolicy.of("every-sample"))
    tracked = Collector(tmp_path / "speed.db", TrackingPolicy.of({"vehicle_speed": {"step": 0.3}}))

    @settings(max_examples=examples)
    @given(st.lists(st.tuples(st.integers(0, 5), st.decimals(0, 2, places=1)), min_size=1, max_size=15))
    def check(found: list[tuple[int, Any]]) -> None:
        truck = f"T{next(numbers)}"
        records = [
            {"truck_id": truck, "timestamp": f"2024-06-01T10:0{minute}:00Z", "vehicle_speed": parse(str(speed))}
            for minute, speed in found
        ]
        for each in (every, tracked):
            each.take(*records)
            rows = [(row["effective_start_date"], row["effective_end_date"]) for row in each.history(truck)]
            assert rows == _expected(records, each.policy)

    check()
    for each in (every, tracked):
        assert not each.faults()
        each.close()


events = st.builds(
    lambda number, kind, item, times: click(
        event_id=f"e{number}",
        event_type=kind,
        item_id=item,
        item_name=None if item is None else "",
        click_count=times,
        timestamp=f"2024-06-01T11:5{number % 3}:00Z",
    ),
    st.integers(0, 12),
    st.sampled_from(["view", "click"]),
    st.sampled_from(["A", "B", None]),
    st.integers(0, 3),
)


def _content(event: dict[str, Any]) -> str:
    """Of several contents of one event_id the smallest hash is counted."""
    return read_click(event, received_ms=RECEIVED_MS, trusted=True).content


@budget(60, 3_000)
def test_an_event_counts_once_however_often_it_comes(tmp_path: Path, examples: int) -> None:
    """The counters are the sum over the stored events, by whichever batch they came."""
    collector = Collector(tmp_path / "clicks.db")
    stored: dict[str, dict[str, Any]] = {}

    @settings(max_examples=examples)
    @given(st.lists(st.lists(events, max_size=6), max_size=5), st.integers())
    def check(batches: list[list[dict[str, Any]]], salt: int) -> None:
        for batch in batches:
            renamed = [{**event, "event_id": f"{salt}-{event['event_id']}"} for event in batch]
            receipts = collector.take(*renamed, kind="click", source="file:clicks")
            for event, receipt in zip(renamed, receipts, strict=True):
                assert (receipt.status == "accepted") == (event["event_id"] not in stored)
                known = stored.setdefault(event["event_id"], event)
                stored[event["event_id"]] = min(known, event, key=_content)

    check()
    tally: dict[tuple[str | None, str], int] = {}
    for event in stored.values():
        place = (event["item_id"], event["event_type"])
        tally[place] = tally.get(place, 0) + event["click_count"]
    rows = queries.clicks(collector.store, "item")
    assert {(row["item_id"], row["event_type"]): row["count"] for row in rows} == {k: n for k, n in tally.items() if n}
    assert not collector.faults()
    collector.close()
