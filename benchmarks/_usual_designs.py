"""The two usual designs that a fleet's cost is held against, with the same records."""

import json
import time
from typing import Any

import boto3
from boto3.dynamodb.types import TypeSerializer

from benchmarks._dynamodb_meter import Meter, table_bytes
from benchmarks._trucks import Days
from contract import timestamps
from contract.codec import dump


def version_per_record(days: Days) -> dict[str, float]:
    """The usual design: read what is current, put the new version, close the old one."""
    client = boto3.client("dynamodb")
    meter = Meter(client)
    keys = [("truck_id", "HASH"), ("effective_start_date", "RANGE")]
    client.create_table(
        TableName="usual-versions",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in keys],
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
    )
    meter.reset()
    cpu = time.process_time()
    for truck, samples in days.items():
        for received_ms, payload in samples:
            _one_version(meter, truck, timestamps.from_ms(received_ms), json.loads(payload, parse_float=str))
    count = sum(map(len, days.values()))
    return {
        "write_units": meter.write["versions"] / count,
        "read_units": meter.read["versions"] / count,
        "calls": meter.calls / count,
        "cpu_seconds": (time.process_time() - cpu) / count,
        "stored_bytes": table_bytes("usual-versions") / count,
    }


def _one_version(client: Any, truck: str, now: str, record: dict[str, Any]) -> None:
    found = client.query(
        TableName="usual-versions", KeyConditionExpression="truck_id = :truck", ScanIndexForward=False, Limit=1,
        ExpressionAttributeValues={":truck": {"S": truck}}, ConsistentRead=True,
    )["Items"]  # fmt: skip
    serialize = TypeSerializer().serialize
    known = {"truck_id": truck, "effective_start_date": now, "load_timestamp": now, "is_current": True}
    client.put_item(TableName="usual-versions", Item={k: serialize(v) for k, v in {**record, **known}.items()})
    for old in found:
        client.update_item(
            TableName="usual-versions", Key={key: old[key] for key in ("truck_id", "effective_start_date")},
            UpdateExpression="SET is_current = :no, effective_end_date = :now",
            ExpressionAttributeValues={":no": {"BOOL": False}, ":now": {"S": now}},
        )  # fmt: skip


def object_per_record(days: Days) -> dict[str, float]:
    """The other usual design: put each record as an object."""
    client = boto3.client("s3")
    client.create_bucket(Bucket="usual-objects")
    payloads = [(truck, *each) for truck, own in days.items() for each in own]
    cpu = time.process_time()
    for truck, received_ms, payload in payloads:
        key = f"{truck}/{timestamps.from_ms(received_ms)}.json"
        client.put_object(Bucket="usual-objects", Key=key, Body=dump(json.loads(payload)).encode())
    return {"cpu_seconds": (time.process_time() - cpu) / len(payloads)}
