"""What one sample takes on AWS: write and read units, calls and bytes, measured; rewrites collector/cost/units.json.

The telemetry function's own path against ministack's DynamoDB (whose ConsumedCapacity is right), for simulated trucks
at a sample a minute over a working day, one sample a batch and five together; then the same records as a version put
and closed each. What cannot be measured here (how long a call takes on AWS, a vCPU's share of 512 MB) is under
`assumed`. `--write` stores the result; without it the figures are only printed, beside those that stand.
"""

import base64
import gzip
import json
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
from boto3.dynamodb.types import TypeSerializer
from ingest_cpu import envelope

from agent.sensors.document import merge
from collector.handlers.archive import handler as archive
from collector.handlers.batch import take
from collector.history import Policy
from collector.ingest import Ingest, vouch_for_policy
from collector.stores import open_store
from collector.stores.dynamodb import create_tables
from contract import instants
from contract.codec import dump, parse
from deploy.local import Ministack, environment
from deploy.render import render
from simulator.sensor import SimulatedSensor
from simulator.vehicle import Vehicle

FILE = Path(__file__).parent.parent / "collector" / "cost" / "units.json"
TRUCKS, MINUTES = 4, 240
NOW = datetime.now(UTC).replace(second=0, microsecond=0)


class Meter:
    """Adds up ConsumedCapacity, per table, of the calls of every client that is built after it."""

    def __init__(self) -> None:
        self.write: dict[str, float] = defaultdict(float)
        self.read: dict[str, float] = defaultdict(float)
        self.calls = 0
        events = boto3.DEFAULT_SESSION.events
        events.register("provide-client-params.dynamodb.*", self._ask)
        events.register("after-call.dynamodb.*", self._add)

    def _ask(self, params: dict[str, Any], model: Any, **_: Any) -> dict[str, Any] | None:
        known = "ReturnConsumedCapacity" in model.input_shape.members
        return {**params, "ReturnConsumedCapacity": "TOTAL"} if known else None

    def _add(self, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        found = parsed.get("ConsumedCapacity") or []
        self.calls += 1
        reading = model.name in ("GetItem", "Query", "Scan", "BatchGetItem", "TransactGetItems")
        for each in found if isinstance(found, list) else [found]:
            table = each["TableName"].split("-", 1)[1]
            (self.read if reading else self.write)[table] += each["CapacityUnits"]

    def reset(self) -> None:
        """From here on only what comes."""
        self.write.clear()
        self.read.clear()
        self.calls = 0


def day(truck_id: str) -> list[tuple[int, bytes]]:
    """(arrival, payload) of a working day's samples."""
    sensor = SimulatedSensor(Vehicle(truck_id, 1))
    made = []
    for minute in range(MINUTES):
        moment = NOW - timedelta(minutes=MINUTES - minute)
        values, quality = merge([sensor.read(moment)])
        head = {"schema_version": 1, "truck_id": truck_id, "stream_id": "0123456789abcdef", "seq": minute + 1}
        at = instants.from_datetime(moment)
        record = {**head, "sampled_at": at, "time_quality": "gps", **values, "quality": quality}
        made.append((instants.to_ms(at) + 200, dump(record).encode()))
    return made


def kinesis(truck_id: str, number: int, received_ms: int, data: bytes) -> dict[str, Any]:
    encoded = base64.b64encode(data).decode("ascii")
    entry = {"partitionKey": truck_id, "sequenceNumber": str(number), "data": encoded}
    return {"eventID": f"shard:{number}", "kinesis": {**entry, "approximateArrivalTimestamp": received_ms / 1000}}


def ours(prefix: str, together: int, days: dict[str, list[tuple[int, bytes]]]) -> dict[str, float]:
    """Units, calls and bytes a sample, a truck's samples coming `together` at a time."""
    meter = Meter()
    create_tables(boto3.client("dynamodb"), prefix)
    store = open_store(f"dynamodb://{prefix}")
    vouch_for_policy(store, Policy.of())
    ingest = Ingest(store, Policy.of())
    meter.reset()
    for first in range(0, MINUTES, together):
        records = [
            kinesis(truck, minute, days[truck][minute][0], envelope(truck, *days[truck][minute]))
            for truck in days
            for minute in range(first, first + together)
        ]
        assert not take(records, kind="telemetry", store=store, ingest=ingest).failed
    samples = TRUCKS * MINUTES
    spent, reads, calls = dict(meter.write), dict(meter.read), meter.calls
    versions = sum(store.version_count(truck) for truck in days)
    batches = samples / together
    sizes = {name: table_bytes(f"{prefix}-{name}") for name in ("samples", "truck_history", "trucks")}
    print(f"{together} together: {spent} written, {reads} read, {versions} versions of {samples} samples")
    return {
        "sample": spent["samples"] / samples,
        "head": spent["trucks"] / batches,
        "versions": spent.get("truck_history", 0.0),
        "all": sum(spent.values()) / samples,
        "read": sum(reads.values()) / batches,
        "calls": calls / batches,
        "changes": versions,
        "stored": sizes["samples"] / samples,
        "stored_version": sizes["truck_history"] / max(versions, 1),
        "head_bytes": sizes["trucks"] / TRUCKS,
    }


def table_bytes(name: str) -> int:
    """Items' own bytes: names and values, and the 100 that storage adds to each."""
    found = 0
    for page in boto3.client("dynamodb").get_paginator("scan").paginate(TableName=name):
        found += sum(100 + item_bytes(item) for item in page["Items"])
    return found


def item_bytes(item: dict[str, Any]) -> int:
    """As the developer guide counts an item's size, near enough."""
    total = 0
    for name, typed in item.items():
        ((kind, value),) = typed.items()
        total += len(name.encode())
        if kind == "M":
            total += 3 + item_bytes(value) + len(value)
        elif kind == "L":
            total += 3 + sum(1 + item_bytes({"": each}) for each in value)
        elif kind == "N":
            total += len(value.strip("-0.")) // 2 + 1
        else:
            total += len(value) if isinstance(value, bytes) else len(str(value).encode())
    return total


def version_per_record(days: dict[str, list[tuple[int, bytes]]]) -> dict[str, float]:
    """The usual design: read what is current, put the new version, close the old one."""
    meter = Meter()
    client = boto3.client("dynamodb")
    keys = [("truck_id", "HASH"), ("effective_start_date", "RANGE")]
    client.create_table(
        TableName="usual-versions",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in keys],
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
    )
    meter.reset()
    for truck, samples in days.items():
        for received_ms, payload in samples:
            _one_version(client, truck, instants.from_ms(received_ms), json.loads(payload, parse_float=str))
    samples = TRUCKS * MINUTES
    return {
        "write_units": meter.write["versions"] / samples,
        "read_units": meter.read["versions"] / samples,
        "calls": meter.calls / samples,
        "stored_bytes": table_bytes("usual-versions") / samples,
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


def archived_bytes(days: dict[str, list[tuple[int, bytes]]]) -> float:
    """A sample in the archive, compressed."""
    samples = [(truck, *each) for truck, own in days.items() for each in own]
    records = [
        {"recordId": str(number), "data": base64.b64encode(envelope(*sample)).decode("ascii")}
        for number, sample in enumerate(samples)
    ]
    context = type("Context", (), {"function_name": "archive", "memory_limit_in_mb": 256, "aws_request_id": "1",
                                   "invoked_function_arn": "arn:aws:lambda:us-east-1:0:function:archive"})  # fmt: skip
    answer = archive({"sourceKinesisStreamArn": "stream/milepost-telemetry", "records": records}, context)
    lines = b"".join(base64.b64decode(record["data"]) for record in answer["records"])
    return len(gzip.compress(lines)) / len(samples)


def measured(days: dict[str, list[tuple[int, bytes]]]) -> dict[str, Any]:
    alone, five = ours("alone", 1, days), ours("five", 5, days)
    payloads = [payload for own in days.values() for _, payload in own]
    usual = version_per_record(days)
    types = [each["Type"] for each in render()["Resources"].values()]
    truck_days = TRUCKS * MINUTES / 1440
    changes = alone["changes"] / truck_days
    # Every batch writes the head once. A transaction charges double: what that and the versions add is the changes'.
    plain = 1.0
    version_units = (alone["versions"] + (alone["head"] - plain) * TRUCKS * MINUTES) / truck_days
    return {
        "measured_at": NOW.date().isoformat(),
        "measured_by": "benchmarks/cost_units.py",
        "assumed": {
            "dynamodb_call_seconds": 0.005,
            "s3_call_seconds": 0.02,
            "vcpus": 0.29,
            "cpu_seconds_per_sample": 0.0001,
            "seconds_per_invocation": 0.02,
            "reports_per_hour": 4,
            "log_bytes_per_invocation": 600,
            "metrics": 20,
        },
        "payload_bytes": round(sum(map(len, payloads)) / len(payloads)),
        "stream_record_bytes": round(sum(len(envelope("TRUCK-001", 1, p)) for p in payloads) / len(payloads)),
        "write_units_per_sample": {"alone": round(alone["all"], 3), "five_together": round(five["all"], 3)},
        "sample_units": round(alone["sample"], 3),
        "head_units_per_batch": plain,
        "version_units_per_truck_day": round(version_units, 1),
        "versions_per_truck_day": round(changes, 1),
        "read_units_per_batch": round(alone["read"], 3),
        "calls_per_batch": round(alone["calls"], 2),
        "write_units_per_report": 1,
        "read_units_per_truck_scanned": round(alone["head_bytes"] / 8192, 3),
        "stored_bytes_per_sample": round(alone["stored"]),
        "stored_bytes_per_version": round(alone["stored_version"]),
        "archived_bytes_per_sample": round(archived_bytes(days)),
        "batch_records": 2000,
        "function_mb": 512,
        "repair_seconds": 300,
        "retention_days": 42,
        "alarms": types.count("AWS::CloudWatch::Alarm"),
        "version_per_record": {key: round(value, 3) for key, value in usual.items()},
    }


def main(arguments: Sequence[str]) -> int:
    with tempfile.TemporaryDirectory() as folder, Ministack(Path(folder)) as stack:
        os.environ.update(environment(stack.url))
        boto3.setup_default_session()
        found = measured({f"TRUCK-{number:03}": day(f"TRUCK-{number:03}") for number in range(TRUCKS)})
    text = json.dumps(found, indent=2) + "\n"
    print(text)
    if "--write" in arguments:
        FILE.write_text(text, encoding="utf-8")
    else:
        stands = parse(FILE.read_text("utf-8"))
        print("differs:", {key: (stands.get(key), value) for key, value in found.items() if stands.get(key) != value})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
