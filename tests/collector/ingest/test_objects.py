"""Records that lie in S3: every object, once, in whatever form the systems before wrote them; and our own archive."""

import base64
import gzip
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from collector import queries
from collector.handlers import archive
from collector.ingest import items_of_stream_record
from collector.ingest_objects import ingest_objects
from collector.stores.sqlite.store import SqliteStore
from collector.streams.s3_objects import S3Objects
from contract.codec import dump
from contract.errors import Unreachable
from tests import ministack
from tests.collector.stores_on_disk import Collector
from tests.contract.examples import RECEIVED_MS, click, put, sample

BRAKES = "vehicle_health_and_maintenance.brake_status"


class Bucket:
    """One of a test's own."""

    def __init__(self) -> None:
        self.client = ministack.client(ministack.shared(), "s3")
        self.name = f"objects-{uuid.uuid4().hex[:8]}"
        self.client.create_bucket(Bucket=self.name)

    def put(self, key: str, body: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=body)

    def under(self, prefix: str = "") -> S3Objects:
        return S3Objects(f"s3://{self.name}/{prefix}", self.client)


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    made = Collector(tmp_path / "milepost.db")
    yield made
    made.close()


def _take(collector: Collector, objects: S3Objects, folder: Path, stream: str = "telemetry") -> dict[str, int]:
    return list(ingest_objects(collector.ingest, objects, stream, folder))[-1]


def test_every_form_that_a_system_before_wrote_is_read(bucket: Bucket, collector: Collector, tmp_path: Path) -> None:
    records = [sample(seq=seq) for seq in range(1, 10)]
    texts = [dump(record) for record in records]
    bucket.put("old/", b"")
    bucket.put("old/1-alone.json", texts[0].encode())
    bucket.put("old/2-pretty.json", json.dumps(records[1], indent=2).encode())
    bucket.put("old/3-in-a-row", "".join(texts[2:4]).encode())  # Firehose, without newlines
    bucket.put("old/4-list.json", json.dumps(records[4:6], indent=1).encode())
    bucket.put("old/5-lines.gz", gzip.compress("\n".join(texts[6:8]).encode()))
    bucket.put("old/6-broken", b"{half\n" + texts[8].encode())
    bucket.put("other/1", dump(sample(seq=99)).encode())
    assert _take(collector, bucket.under("old/"), tmp_path) == {"accepted": 9, "duplicate": 0, "rejected": 1}
    assert _take(collector, bucket.under("old/"), tmp_path)["duplicate"] == 9


def test_an_interrupted_run_goes_on_and_one_that_ended_begins_anew(
    bucket: Bucket, collector: Collector, tmp_path: Path
) -> None:
    for number in range(1, 6):
        bucket.put(f"{number}", dump(sample(seq=number)).encode())
    run = ingest_objects(collector.ingest, bucket.under(), "telemetry", tmp_path)
    for _ in range(3):
        next(run)
    run.close()  # two were taken
    assert _take(collector, bucket.under(), tmp_path) == {"accepted": 3, "duplicate": 0, "rejected": 0}
    bucket.put("0-late", dump(sample(seq=6)).encode())
    assert _take(collector, bucket.under(), tmp_path) == {"accepted": 1, "duplicate": 5, "rejected": 0}


def test_the_archive_makes_the_same_store_again(bucket: Bucket, collector: Collector, tmp_path: Path) -> None:
    """Samples dated by their arrival, reports, refusals, clicks: through the archive's own function and back."""
    said: list[tuple[str, str, Any]] = [
        ("telemetry", "telemetry", put(sample(seq=1), BRAKES, "worn")),
        ("telemetry", "telemetry", {"records": [sample(seq=2), sample(seq=4)]}),
        ("telemetry", "telemetry", {"truck_id": "T1", "vehicle_speed": 7}),
        ("telemetry", "telemetry", sample(seq=5, vehicle_speed=-1)),
        ("report", "telemetry", {"stream_id": "s1", "oldest_retained": 1, "highest_seq": 6, "gone": [[3, 3]]}),
    ]
    envelopes = []
    for number, (kind, _, record) in enumerate(said):
        data = base64.b64encode(dump(record).encode()).decode()
        received = {"truck_id": "T1", "client_id": "T1", "received_at": RECEIVED_MS + number * 1000}
        more = {} if kind == "telemetry" else {"kind": kind}
        envelopes.append(json.dumps({"data": data, **received, **more}).encode())
    envelopes.append(b"{half")
    body = json.dumps({"events": [click(event_id="a"), click(event_id="b", click_count=5000)]})
    posted = json.dumps(
        {"door": "http:clicks", "received_at": RECEIVED_MS, "seen": {"browser": "Firefox"}, "body": body}
    )
    for stream, datas in (("telemetry", envelopes), ("clicks", [posted.encode()])):
        for data in datas[: None if stream == "clicks" else -1]:
            collector.ingest.ingest(_items(data))
        records = [{"recordId": f"{n}", "data": base64.b64encode(data).decode()} for n, data in enumerate(datas)]
        event = {"sourceKinesisStreamArn": f"stream/{stream}", "records": records}
        lines = b"".join(base64.b64decode(each["data"]) for each in archive.handler(event, CONTEXT)["records"])
        bucket.put(f"archive/{stream}/date=2024-06-01/1.jsonl.gz", gzip.compress(lines))
    again = Collector(tmp_path / "again.db")
    sums = _take(again, bucket.under("archive/"), tmp_path)
    assert sums["rejected"] == 2
    assert _seen(again.store) == _seen(collector.store)
    again.close()


CONTEXT = SimpleNamespace(
    function_name="archive", memory_limit_in_mb=256, invoked_function_arn="arn:aws:lambda:x", aws_request_id="1"
)


def _items(data: bytes) -> list[Any]:
    from collector.ingest.stream_records import bare, open_record

    if b'"door"' in data:
        return open_record(bare(data, kind="click", arrived_ms=RECEIVED_MS, origin=""))[0]
    return items_of_stream_record(data)


def _seen(store: SqliteStore) -> Any:
    letters = [(each.id, each.source, each.reason) for each in store.dead_letters() if each.payload != b"{half"]
    ledgers = {name: ledger.as_json() for name, ledger in store.ledgers("T1").items()}
    clicks = [(each.text, each.received_ms) for each in store.clicks()]
    return queries.history(store, "T1"), ledgers, list(store.click_counts()), clicks, letters


def test_a_bucket_that_is_not_there_is_named(collector: Collector, tmp_path: Path) -> None:
    client = ministack.client(ministack.shared(), "s3")
    with pytest.raises(Unreachable, match="s3://nowhere-at-all"):
        _take(collector, S3Objects("s3://nowhere-at-all/x", client), tmp_path)


def test_a_table_s_export_is_read_without_its_manifests_and_with_every_digit(
    bucket: Bucket, collector: Collector, tmp_path: Path
) -> None:
    """As `aws dynamodb export-table-to-point-in-time` writes it, in DYNAMODB_JSON."""
    at = "AWSDynamoDB/01717171717171-a1b2c3d4"
    item = {
        "Item_ID": {"S": "A13"},
        "Item_Name": {"S": "Boots"},
        "Click_Counts": {"N": "3"},
        "Timestamp": {"S": "2024-06-01T10:00:00Z"},
        "price": {"N": "12.50"},
        "tags": {"L": [{"S": "new"}, {"NULL": True}]},
        "more": {"M": {"shop": {"BOOL": True}, "sizes": {"NS": ["41", "42"]}}},
    }
    lines = dump({"Item": item}) + "\n" + dump({"Item": {**item, "Item_ID": {"S": "B7"}}}) + "\nno line of an export\n"
    bucket.put(f"old/{at}/data/abcdefg.json.gz", gzip.compress(lines.encode()))
    bucket.put(f"old/{at}/manifest-files.json", b'{"itemCount":2,"dataFileS3Key":"x"}')
    bucket.put(f"old/{at}/manifest-summary.json", b'{"version":"2020-06-30"}')
    done = list(ingest_objects(collector.ingest, bucket.under("old/"), "clicks", tmp_path, exported=True))[-1]
    assert done == {"accepted": 2, "duplicate": 0, "rejected": 1}
    counted = [(counter.item_id, count) for counter, count in collector.store.click_counts()]
    assert counted == [("A13", 3), ("B7", 3)]
    [event, _] = [json.loads(click.text) for click in collector.store.clicks()]
    assert (event["price"], event["tags"], event["more"]) == (12.5, ["new", None], {"shop": True, "sizes": [41, 42]})
    plain = {"Item_ID": "A13", "Item_Name": "Boots", "Click_Counts": 3, "Timestamp": "2024-06-01T10:00:00Z",
             "price": 12.5, "tags": ["new", None], "more": {"shop": True, "sizes": [41, 42]}}  # fmt: skip
    bucket.put("plain/one.json", dump(plain).encode())
    again = list(ingest_objects(collector.ingest, bucket.under("plain/"), "clicks", tmp_path))[-1]
    assert again == {"accepted": 0, "duplicate": 1, "rejected": 0}, "the same record by both ways"


def test_an_object_that_cannot_be_read_holds_up_no_other(bucket: Bucket, collector: Collector, tmp_path: Path) -> None:
    """A damaged one, one in another encoding and one that nests without end: each costs itself alone."""
    whole = dump(sample()).encode() + b"\n"
    bucket.put("a.gz", gzip.compress(whole)[:-9])
    bucket.put("b.json", whole.decode().encode("utf-16"))
    bucket.put("c.json", b"[" * 200_000)
    bucket.put("d.json", dump(sample(seq=2)).encode())
    assert _take(collector, bucket.under(), tmp_path) == {"accepted": 2, "duplicate": 0, "rejected": 3}


def test_a_record_of_an_array_is_the_same_as_on_a_line(bucket: Bucket, collector: Collector, tmp_path: Path) -> None:
    """Digits beyond a float's are part of its identity."""
    text = b'{"truck_id":"T1","sampled_at":"2026-01-01T10:00:00Z","odometer_reading":999.99999999999999999}'
    bucket.put("a.json", b"[" + text + b"]")
    bucket.put("b.json", text)
    assert _take(collector, bucket.under(), tmp_path) == {"accepted": 1, "duplicate": 1, "rejected": 0}
