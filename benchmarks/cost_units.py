"""What one sample takes on AWS: write and read units, calls, CPU and bytes; rewrites deploy/cost/units.json.

The telemetry function whole against ministack's DynamoDB (whose ConsumedCapacity is right), for simulated trucks at a
sample a minute, one sample a message and five together; then the same records as a version put and closed each, and as
an object each. How often versions open is measured on the simulated trucks, and on the one drive of tests/recordings
that has tracked values (coolant, voltage), which stands beside it. CPU is this machine's. What cannot be measured here
(how long a call takes on AWS) is under `assumed`. `--write` stores the result; without it what differs from the stored
units is printed, and each must hold within a twentieth but for CPU. Aims: ≤ 1 ms of CPU a sample alone and ≤ 0.5 of
five together; at list prices ≤ 1/2 of the usual designs, ≤ 1/3 with Basic Ingest.
"""

import base64
import contextlib
import gzip
import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3

from agent.sampling.event_detection import Events
from agent.settings import AgentSettings
from benchmarks._dynamodb_meter import Meter, table_bytes
from benchmarks._trucks import A_DAY, DRIVE, NOW, Days, events, recorded, simulated
from benchmarks._usual_designs import object_per_record, version_per_record
from benchmarks.ingest_cpu import envelope
from collector.handlers import bootstrap, telemetry
from collector.handlers.archive import handler as archive
from collector.history import TrackingPolicy
from collector.ingest import Ingest, vouch_for_policy
from collector.stores.dynamodb import DynamoDbStore, create_tables
from collector.stores.dynamodb.lean_client import lean
from contract import timestamps
from contract.codec import dump, parse
from contract.ingest_items import Item
from deploy.cost.model import USUAL, Fleet, answer
from deploy.ministack import Ministack, environment
from deploy.render import render

FILE = Path(__file__).parent.parent / "deploy" / "cost" / "units.json"
TRUCKS, MINUTES, FIVE = 4, 240, 5
MB_OF_A_VCPU = 1769
"""A function has one vCPU at 1,769 MB, and a part of it below (AWS Lambda developer guide, "Configure memory")."""
INDEX_ENTRY_BYTES = 100
"""What DynamoDB charges for an index entry beside its own bytes."""
CONTEXT = SimpleNamespace(
    function_name="milepost",
    memory_limit_in_mb=512,
    invoked_function_arn="arn:aws:lambda:us-east-1:000000000000:function:milepost",
    aws_request_id="00000000-0000-0000-0000-000000000000",
    get_remaining_time_in_millis=lambda: 600_000,
)


def ours(prefix: str, together: int, days: Days) -> dict[str, float]:
    """Units, calls, CPU and bytes, a truck's samples coming `together` at a time."""
    client = boto3.client("dynamodb")
    create_tables(client, prefix, expiring=False)
    meter = Meter(lean(client))
    store, policy = DynamoDbStore(prefix, meter, clock=NOW.timestamp), TrackingPolicy.of()
    vouch_for_policy(store, policy)
    ingest = Ingest(store, policy)
    bootstrap.store, bootstrap.ingest = lambda: store, lambda: ingest  # type: ignore[assignment]
    batches, told = list(events(days, together)), io.StringIO()
    meter.reset()
    cpu = time.process_time()
    with contextlib.redirect_stdout(told):
        for batch in batches:
            assert telemetry.handler(batch, CONTEXT) == {"batchItemFailures": []}
    cpu = time.process_time() - cpu
    samples = sum(map(len, days.values()))
    messages = sum(len(batch["Records"]) for batch in batches)
    spent, calls = dict(meter.write), meter.calls
    assert "dead_letters" not in spent
    versions = sum(store.version_count(truck) for truck in days)
    print(f"{prefix}: {spent} written, {dict(meter.read)} read, {versions} versions of {samples} samples")
    return {
        "write_units_per_sample": sum(spent.values()) / samples,
        "sample_units": spent["samples"] / samples,
        "read_units": sum(meter.read.values()) / messages,
        "calls": calls / messages,
        "cpu_seconds": cpu / messages,
        # Every message writes the head once. A transaction charges double: what that and the versions add is theirs.
        "version_units": (spent.get("truck_history", 0.0) + spent["trucks"] - messages) / versions,
        "stored": table_bytes(f"{prefix}-samples") / samples,
        "stored_version": table_bytes(f"{prefix}-truck_history") / versions,
        "head_bytes": table_bytes(f"{prefix}-trucks") / len(days),
        "log_bytes": len(told.getvalue()) / len(batches),
    }


def late(together: int, days: Days) -> float:
    """Read units that a sample costs beyond the others where it comes after a later one."""
    plain = ours("ordered", together, days)["read_units"]
    swapped = {truck: [own[at ^ 1] for at in range(len(own) // 2 * 2)] for truck, own in days.items()}
    return 2 * (ours("swapped", together, swapped)["read_units"] - plain)  # every second one is late


def shop_events(count: int, together: int) -> dict[str, float]:
    """Units, CPU and bytes of a shop event, which come so many at a time."""
    client = boto3.client("dynamodb")
    create_tables(client, "shop", expiring=False)
    meter = Meter(lean(client))
    ingest = Ingest(DynamoDbStore("shop", meter, clock=NOW.timestamp), TrackingPolicy.of())
    now_ms = int(NOW.timestamp() * 1000)
    kinds = ("page_view", "page_view", "view", "click", "add_to_cart")
    made = [
        {
            "event_id": f"{number:032x}",
            "event_type": kinds[number % 5],
            "timestamp": timestamps.from_ms(now_ms - (count - number) * 400),
            "user_id": f"{number % 97:032x}",
            "session_id": f"{number % 89:032x}",
            "page": f"/item/{number % 50}",
            "item_id": f"A{number % 50}",
            "item_name": "A pair of boots",
            "device_type": "mobile",
            "user_type": "returning",
        }
        for number in range(count)
    ]
    cpu = time.process_time()
    for first in range(0, count, together):
        items = [Item("click", "kinesis:clicks", each, now_ms) for each in made[first : first + together]]
        assert {receipt.status for receipt in ingest.ingest(items)} == {"accepted"}
    return {
        "write_units": sum(meter.write.values()) / count,  # the entries of indexes too
        "cpu_seconds": (time.process_time() - cpu) / count,
        "stored_bytes": 2 * table_bytes("shop-clicks") / count + INDEX_ENTRY_BYTES,
        "bytes": sum(len(dump(each)) for each in made) / count,
    }


def own_metrics(resources: dict[str, Any]) -> int:
    """The metrics of Milepost's own that the dashboard shows, with one of each reading function that it does not."""
    body = json.loads(resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"])
    shown = {
        tuple(metric)
        for widget in body["widgets"]
        for metric in widget["properties"].get("metrics", [])
        if metric[0] == "Milepost"
    }
    return len(shown) + len(("OldestAge of telemetry", "OldestAge of clicks", "Archived"))


def invocation() -> float:
    """CPU seconds of an invocation without work."""
    rounds = 200
    with contextlib.redirect_stdout(io.StringIO()):
        cpu = time.process_time()
        for _ in range(rounds):
            telemetry.handler({"Records": []}, CONTEXT)
    return (time.process_time() - cpu) / rounds


def changes(source: str, days: Days, found: dict[str, float]) -> dict[str, Any]:
    """How often versions open, and how often the agent sends at once what would wait; scaled to day and night."""
    policy, opened, told, samples = TrackingPolicy.of(), 0, 0, 0
    for own in days.values():
        watch, records = Events(), [json.loads(payload) for _, payload in own]
        keys = [policy.key(record, "") for record in records]
        opened += sum(a != b for a, b in pairwise(keys))
        told += sum([watch.is_event(record) for record in records][1:])
        samples += len(own)
    return {
        "source": source,
        "samples": samples,
        "versions_per_truck_day": round(opened / samples * A_DAY, 1),
        "units_per_version": round(found["version_units"], 2),
        "events_per_sample": round(told / samples, 4),
    }


def archived(days: Days, together: int) -> tuple[float, float]:
    """A sample's bytes in the archive, compressed, and the CPU seconds of the function that decodes it."""
    samples = sum(map(len, days.values()))
    records = [
        {"recordId": record["eventID"], "data": record["kinesis"]["data"]}
        for event in events(days, together)
        for record in event["Records"]
    ]
    cpu = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        answer = archive({"sourceKinesisStreamArn": "stream/milepost-telemetry", "records": records}, CONTEXT)
    cpu = time.process_time() - cpu
    lines = b"".join(base64.b64decode(record["data"]) for record in answer["records"])
    return len(gzip.compress(lines)) / samples, cpu / samples


def _rounded(found: dict[str, float], *names: str) -> dict[str, float]:
    return {name: float(f"{found[name]:.4g}") for name in names or found}


def measured(days: Days, drive: Days) -> dict[str, Any]:
    """units.json."""
    ours("warm", 1, {"TRUCK-000": days["TRUCK-000"][:20]})
    alone, five = ours("alone", 1, days), ours("five", FIVE, days)
    payloads = [payload for own in days.values() for _, payload in own]
    payload_bytes = round(sum(map(len, payloads)) / len(payloads))
    resources = render()["Resources"]
    types = [each["Type"] for each in resources.values()]
    function = resources["TelemetryFunction"]["Properties"]
    archived_bytes, archive_cpu = archived(days, FIVE)
    per_message = ("read_units", "calls", "cpu_seconds")
    return {
        "measured_at": datetime.now(UTC).date().isoformat(),
        "measured_by": "benchmarks/cost_units.py",
        "assumed": {
            "dynamodb_call_seconds": 0.005,
            "s3_call_seconds": 0.02,
            "vcpu_is_as_fast_as_here": 1,
            "platform_log_bytes_per_invocation": 350,
            "late_samples": 0.05,
            "reconnects_per_truck_day": 10,
            "messages_per_reconnect": 6,
            "egress_bytes_per_message": 100,
            "kms_requests_per_hour": 12,
            "events_per_request": 3,
            "request_seconds": 0.02,
            "egress_bytes_per_response": 600,
            "access_log_bytes": 250,
            "cold_starts_a_day": 50,
        },
        "payload_bytes": payload_bytes,
        "envelope_bytes": len(envelope("TRUCK-001", timestamps.to_ms("2026-01-31T12:00:00.000Z"), b"")),
        "write_units_per_sample": {
            "alone": round(alone["write_units_per_sample"], 3),
            "five_together": round(five["write_units_per_sample"], 3),
        },
        "sample_units": round(alone["sample_units"], 3),
        "head_units_per_message": 1.0,
        "per_message": {"1": _rounded(alone, *per_message), str(FIVE): _rounded(five, *per_message)},
        "changes": {
            "simulated": changes(f"{TRUCKS} simulated trucks, 24 hours", simulated(TRUCKS, A_DAY), alone),
            **({"recorded": changes(f"{DRIVE.name}: coolant, voltage", drive, alone)} if drive else {}),
        },
        "reports_per_hour": 3600 / AgentSettings(truck_id="T").report_interval,
        "write_units_per_report": 1,
        "read_units_per_truck_scanned": round(alone["head_bytes"] / 8192, 3),
        "stored_bytes_per_sample": round(alone["stored"]),
        "stored_bytes_per_version": round(alone["stored_version"]),
        "archived_bytes_per_sample": round(archived_bytes),
        "archive_cpu_seconds_per_sample": float(f"{archive_cpu:.3g}"),
        "log_bytes_per_invocation": round(alone["log_bytes"]),
        "metrics": own_metrics(resources),
        "tables": types.count("AWS::DynamoDB::Table"),
        "late_read_units": round(late(1, days), 3),
        "event": _rounded(shop_events(2_000, 100)),
        "invocation_cpu_seconds": float(f"{invocation():.3g}"),
        "batch_records": function["Events"]["Stream"]["Properties"]["BatchSize"],
        "batches_at_a_time": function["Events"]["Stream"]["Properties"]["ParallelizationFactor"],
        "function_mb": function["MemorySize"],
        "archive_mb": resources["ArchiveFunction"]["Properties"]["MemorySize"],
        "mb_of_a_vcpu": MB_OF_A_VCPU,
        "repair_seconds": 300,
        "retention_days": 42,
        "alarms": sum(
            each["Type"] == "AWS::CloudWatch::Alarm" and "Condition" not in each for each in resources.values()
        ),
        "version_per_record": _rounded(version_per_record(days)),
        "object_per_record": _rounded(object_per_record(days)),
    }


def leaves(found: dict[str, Any], path: str = "") -> dict[str, Any]:
    """Each value by its path: `per_message.1.calls`."""
    flat: dict[str, Any] = {}
    for name, value in found.items():
        flat |= leaves(value, f"{path}{name}.") if isinstance(value, dict) else {f"{path}{name}": value}
    return flat


def holds(stands: dict[str, Any], found: dict[str, Any]) -> bool:
    """Prints what differs; is all that no processor decides within a twentieth of what stands."""
    before, met = leaves(stands), True
    for name, value in leaves(found).items():
        if name == "measured_at" or before.get(name) == value:
            continue
        known = before.get(name)
        near = isinstance(known, int | float) and abs(value - known) <= abs(known) / 20
        met &= near or "cpu_seconds" in name
        print(f"{name}: {value} measured, {known} in {FILE.name}")
    print(f"units of {stands['measured_at']} hold: {'yes' if met else 'no, --write them'}")
    return met


def within_aims(found: dict[str, Any]) -> bool:
    """Prints and judges the function's CPU as measured, and what the stored units make a fleet cost."""
    alone: float = found["per_message"]["1"]["cpu_seconds"] * 1e3
    five: float = found["per_message"][str(FIVE)]["cpu_seconds"] * 1e3 / FIVE
    print(f"the function whole, CPU a sample: {alone:.2f} ms alone (aim ≤ 1), {five:.2f} of five together (aim ≤ 0.5)")
    ratios: dict[str, dict[str, float]] = answer(Fleet(10_000))["ratios"]["simulated"]
    met = alone <= 1 and five <= 0.5
    for said, mine, aim in (
        ("each at once", "milepost", 1 / 2),
        ("with Basic Ingest", "milepost_basic_ingest", 1 / 3),
    ):
        version, thing = (ratios[mine][usual] for usual in USUAL)
        met &= max(version, thing) <= aim
        print(
            f"USD of 10,000 trucks, {said}: {version:.2f} of a version a record, {thing:.2f} of an object a record"
            f" (aim ≤ {aim:.2f})"
        )
    return met


def main(arguments: Sequence[str]) -> int:
    """Measure; 1 if an aim is missed or the stored units do not hold."""
    with tempfile.TemporaryDirectory() as folder, Ministack(Path(folder)) as stack:
        os.environ.update(environment(stack.url))
        boto3.setup_default_session()
        found = measured(simulated(TRUCKS, MINUTES), recorded())
    if "--write" in arguments:
        FILE.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    held = holds(parse(FILE.read_text("utf-8")), found)
    return 0 if within_aims(found) and held else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
