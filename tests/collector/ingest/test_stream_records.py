"""What stands in a stream record comes out as the items that a box's doors would have made."""

import base64
import json

import pytest

from collector.ingest.stream_records import bare, items_of_record, records_of_items
from collector.streams.kinesis import MAX_RECORD, size_of
from collector.streams.packing import gunzipped
from contract.codec import parse
from contract.errors import Rejected
from contract.ingest_items import Item, Kind
from tests.contract.examples import RECEIVED_MS, sample


def opened(data: bytes, kind: Kind = "telemetry") -> list[Item]:
    return items_of_record(data, bare(data, kind=kind, arrived_ms=RECEIVED_MS, origin="shard:7"))


def posted(*texts: str, kind: Kind = "click", truck_id: str | None = None) -> list[Item]:
    """As the beacon's doors make them."""
    source = "http:clicks" if kind == "click" else "http:telemetry"
    return [Item(kind, source, parse(text), RECEIVED_MS, text=text, truck_id=truck_id) for text in texts]


def test_the_rules_envelope() -> None:
    """Vouched for by its topic, and it knows where it lay."""
    data = json.dumps(
        {"data": base64.b64encode(b'{"truck_id":"T1"}').decode(), "truck_id": "T1", "received_at": 5}
    ).encode()
    (item,) = opened(data)
    assert (item.source, item.truck_id, item.received_ms) == ("mqtt:fleet/T1/telemetry", "T1", 5)
    assert (item.record, item.origin) == ({"truck_id": "T1"}, "shard:7")


@pytest.mark.parametrize(
    "texts",
    [
        ('{"event_id": "e1",  "item_id":"ü"}',),
        ('{"event_id":"e1"}', "17", '"text"', '{"price":1e999}', '{"deep":"\\ud800"}'),
        ('{"event_id":"e1","events":[1,2]}',),
    ],
)
def test_what_is_posted_comes_out_exactly_as_it_was_posted(texts: tuple[str, ...]) -> None:
    """Text, order and arrival are kept, so that a dead letter is the same here and in the box."""
    ((record, count),) = records_of_items(posted(*texts))
    items = opened(record.data, "click")
    assert count == len(texts)
    assert [str(item.text) for item in items] == list(texts)
    assert {(item.kind, item.source, item.received_ms, item.truck_id) for item in items} == {
        ("click", "http:clicks", RECEIVED_MS, None)
    }


def test_samples_go_under_their_truck_and_a_key_vouches_for_its_truck() -> None:
    """Two trucks in one request are two records; who had a key keeps being vouched for."""
    texts = [json.dumps(sample(truck_id=truck, seq=n)) for n, truck in enumerate(["T1", "T1", "T2"], 1)]
    records = list(records_of_items(posted(*texts, kind="telemetry", truck_id=None)))
    assert [(record.key, count) for record, count in records] == [("T1", 2), ("T2", 1)]
    ((record, _),) = records_of_items(posted(texts[2], kind="telemetry", truck_id="T2"))
    assert opened(record.data)[0].truck_id == "T2"


def test_a_large_request_is_several_records() -> None:
    """None over Kinesis's limit, unless one event alone is."""
    texts = [json.dumps({"event_id": f"e{n}", "page": "x" * 100_000}) for n in range(25)]
    records = list(records_of_items(posted(*texts)))
    assert sum(count for _, count in records) == 25
    assert all(size_of(record) <= MAX_RECORD for record, _ in records)
    assert [str(item.text) for record, _ in records for item in opened(record.data, "click")] == texts


def test_a_bare_record_of_an_earlier_producer_is_taken() -> None:
    """It put its JSON straight into the stream; the stream's time is its arrival."""
    (item,) = opened(b'{"Item_ID":"i1","Click_Counts":2}', "click")
    assert (item.source, item.kind, item.received_ms) == ("kinesis:clicks", "click", RECEIVED_MS)


@pytest.mark.parametrize(
    "envelope",
    [
        {"data": "no base64", "truck_id": "T1", "received_at": 5},
        {"data": "e30=", "received_at": 5},
        {"data": "e30=", "truck_id": "T1", "received_at": "now"},
        {"door": "http:clicks", "received_at": 5},
        {"door": "elsewhere", "received_at": 5, "body": "{}"},
        {"door": "http:clicks", "received_at": 10**15, "body": "{}"},
        {"door": "http:telemetry", "received_at": 5, "body": "{}", "truck_id": 7},
    ],
)
def test_a_broken_envelope_is_rejected_not_taken_for_a_sample(envelope: dict[str, object]) -> None:
    """Its keys would otherwise be kept as a sample's unknown ones."""
    with pytest.raises(Rejected, match=r"a stream record needs|a beacon's record needs"):
        opened(json.dumps(envelope).encode())


@pytest.mark.parametrize("door", ["open", {"rear": "open"}, [1], None])
def test_a_field_called_door_makes_no_envelope(door: object) -> None:
    """A bare record of a producer may have any key of an envelope among its own."""
    record = {"TRUCK_ID": "D1", "LOAD_TIMESTAMP": "2026-11-27 10:00:00", "GPS_SPEED": 1, "door": door}
    data = json.dumps(record).encode()
    [item] = items_of_record(data, bare(data, kind="telemetry", arrived_ms=5, origin=""))
    assert item.record == record


@pytest.mark.parametrize("broken", [b'{"event_id":"x",', b"\xff\xfe{", b'{"a":"' + b"\x01" * 300_000])
def test_what_did_not_parse_goes_alone_and_comes_out_as_it_came(broken: bytes) -> None:
    """In a batch it would break the records beside it."""
    [good] = posted('{"event_id":"e1"}')
    items = [good, good._replace(record=broken, text=None), good]
    packed = list(records_of_items(items))
    assert [count for _, count in packed] == [1, 1, 1]
    out = [item for record, _ in packed for item in opened(gunzipped(record.data), "click")]
    assert [item.source for item in out] == ["http:clicks"] * 3
    assert [item.record for item in out] == [
        good.record,
        broken.decode("utf-8", "backslashreplace").encode(),
        good.record,
    ]
