"""`milepost simulate events`: shop events for others, into Kafka, ministack's Kinesis and Firehose, and files."""

import json
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from contract.click_records import read_click
from deploy.ministack import environment
from tests import kafka, local_aws
from tests.milepost_process import run, start

CLOCK = 1_800_000_000_000


def produced(to: str | Path, count: int, **environ: str) -> None:
    found = run("simulate", "events", "--to", to, "--rate", "500", "--events", count, "--json", **environ)
    assert (found.code, json.loads(found.out)) == (0, {"sent": count}), found.err


def events_of(lines: list[bytes]) -> list[dict[str, Any]]:
    """Parsed, each one that ingest takes without a warning, each with an id of its own."""
    events = [json.loads(line) for line in lines]
    assert [read_click(event, received_ms=CLOCK).warnings for event in events] == [{}] * len(events)
    assert len({event["event_id"] for event in events}) == len(events)
    return events


def test_a_file_gets_one_event_a_line_and_who_buys_has_a_name_and_an_address(tmp_path: Path) -> None:
    """A second run appends."""
    for _ in range(2):
        produced(tmp_path / "events.jsonl", 300)
    events = events_of((tmp_path / "events.jsonl").read_bytes().splitlines())
    assert len(events) == 600
    assert {"page_view", "view", "add_to_cart", "purchase"} <= {event["event_type"] for event in events}
    homes = [event["properties"]["deliver_to"] for event in events if event["event_type"] == "purchase"]
    assert homes
    assert all({"name", "street", "postcode", "city", "country"} == home.keys() for home in homes)


def test_kafka_gets_each_session_in_its_order(tmp_path: Path) -> None:
    """The session is the key."""
    address = kafka.made(kafka.shared())
    topic = f"{address.prefix}-clicks"
    produced(f"kafka://{address.brokers}/{topic}", 200)
    found = kafka.read(address, topic, 200)
    assert len(events_of([data for _, data in found])) == 200
    sessions = defaultdict(list)
    for key, data in found:
        assert json.loads(data)["session_id"] == key
        sessions[key].append(json.loads(data)["timestamp"])
    assert all(times == sorted(times) for times in sessions.values())


def test_kinesis_and_firehose_get_every_event(tmp_path: Path) -> None:
    """As the producers of the earlier systems put them: bare JSON, in Firehose one a line."""
    import boto3

    cloud = environment(local_aws.ministack().url)
    session = boto3.session.Session(cloud["AWS_ACCESS_KEY_ID"], cloud["AWS_SECRET_ACCESS_KEY"],
                                    region_name=cloud["AWS_DEFAULT_REGION"])  # fmt: skip
    client = {
        name: session.client(name, endpoint_url=cloud["AWS_ENDPOINT_URL"]) for name in ("kinesis", "firehose", "s3")
    }
    client["kinesis"].create_stream(StreamName="for-others", ShardCount=1)
    client["s3"].create_bucket(Bucket="for-others")
    client["firehose"].create_delivery_stream(
        DeliveryStreamName="for-others",
        ExtendedS3DestinationConfiguration={
            "BucketARN": "arn:aws:s3:::for-others", "RoleARN": "arn:aws:iam::000000000000:role/any",
            "BufferingHints": {"IntervalInSeconds": 1, "SizeInMBs": 1},
        },
    )  # fmt: skip
    for service in ("kinesis", "firehose"):
        produced(f"{service}://for-others", 40, **cloud)
    shard = client["kinesis"].list_shards(StreamName="for-others")["Shards"][0]["ShardId"]
    iterator = client["kinesis"].get_shard_iterator(
        StreamName="for-others", ShardId=shard, ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    records = client["kinesis"].get_records(ShardIterator=iterator, Limit=100)["Records"]
    assert len(events_of([record["Data"] for record in records])) == 40
    written: list[bytes] = []
    for _ in range(100):
        objects = client["s3"].list_objects_v2(Bucket="for-others").get("Contents", [])
        bodies = [client["s3"].get_object(Bucket="for-others", Key=each["Key"])["Body"].read() for each in objects]
        if len(written := b"".join(bodies).splitlines()) >= 40:
            break
        time.sleep(0.2)
    assert len(events_of(written)) == 40


@pytest.mark.parametrize("to", ["kafka://127.0.0.1:9092", "kinesis://", "mqtt://127.0.0.1/x", "kafka://me:pw@h:1/t"])
def test_an_address_that_is_none_is_refused(to: str) -> None:
    refused = run("simulate", "events", "--to", to, "--events", "1")
    assert refused.code == 2
    assert "--to" in refused.err
    assert "pw@" not in refused.err.replace(to, "")


def test_sigterm_ends_it_with_what_was_sent(tmp_path: Path) -> None:
    running = start("simulate", "events", "--to", tmp_path / "events.jsonl", "--rate", "50", "--json")
    while not (tmp_path / "events.jsonl").exists() or not (tmp_path / "events.jsonl").stat().st_size:
        time.sleep(0.05)
        assert running.poll() is None
    running.terminate()
    out, _ = running.communicate(timeout=20)
    assert running.returncode == 0
    assert json.loads(out) == {"sent": len((tmp_path / "events.jsonl").read_bytes().splitlines())}
