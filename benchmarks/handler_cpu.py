"""The telemetry function's CPU per sample, as a ratio against json.loads of the same bytes in the same run. Aim: ≤ 6 ×.

The Lambda handler whole, from the Kinesis event to the response: base64, the rules' envelope, judging, identity,
history and ledger, Powertools' metrics and context; the store is one in memory (_memory_store.py), the samples and
rounds are those of ingest_cpu.py. Then what a cold start takes: importing the function in a new process, beside bare
Python; clients are built on first use, and are not in it.
"""

import base64
import contextlib
import io
import os
import statistics
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any

from benchmarks._memory_store import MemoryStore
from benchmarks.ingest_cpu import BATCH, ROUNDS, SAMPLES, cpu, envelope, payloads
from collector.handlers import bootstrap, telemetry
from collector.history import TrackingPolicy
from collector.ingest import Ingest

FUNCTIONS = ("telemetry", "clicks", "beacon", "repair", "archive")
SHARD = "shardId-000000000000"
AIM = 6.0
CONTEXT = SimpleNamespace(
    function_name="milepost-telemetry",
    memory_limit_in_mb=512,
    invoked_function_arn="arn:aws:lambda:us-east-1:000000000000:function:milepost-telemetry",
    aws_request_id="benchmark",
    get_remaining_time_in_millis=lambda: 60_000,
)


def events(trucks: int) -> tuple[list[dict[str, Any]], list[bytes]]:
    """Kinesis events of BATCH records, and the samples' own bytes."""
    samples = payloads(trucks)
    records = []
    for number, (truck_id, received_ms, payload) in enumerate(samples):
        data = base64.b64encode(envelope(truck_id, received_ms, payload)).decode("ascii")
        sequence = f"{49590338271490256608559692538361571095921575989136588898 + number}"
        kinesis = {
            "partitionKey": truck_id, "sequenceNumber": sequence, "data": data,
            "approximateArrivalTimestamp": received_ms / 1000,
        }  # fmt: skip
        records.append({"eventID": f"{SHARD}:{sequence}", "eventSource": "aws:kinesis", "kinesis": kinesis})
    batches = [{"Records": records[first : first + BATCH]} for first in range(0, len(records), BATCH)]
    return batches, [payload for _, _, payload in samples]


def handle(batches: list[dict[str, Any]], policy: TrackingPolicy) -> None:
    """All batches through the function, into an empty store."""
    store = MemoryStore()
    ingest = Ingest(store, policy)  # type: ignore[arg-type]
    bootstrap.store, bootstrap.ingest = lambda: store, lambda: ingest  # type: ignore[assignment]
    with contextlib.redirect_stdout(io.StringIO()):
        for batch in batches:
            assert telemetry.handler(batch, CONTEXT) == {"batchItemFailures": []}
    assert not store.letters


def measure(trucks: int) -> tuple[float, float]:
    """CPU seconds a sample: the function, and json.loads."""
    import json

    batches, texts = events(trucks)
    policy = TrackingPolicy.of()
    handle(batches[:2], policy)
    ours, floor = [], []
    for _ in range(ROUNDS):
        ours.append(cpu(lambda: handle(batches, policy)))
        floor.append(cpu(lambda: [json.loads(text) for text in texts] and None))
    return min(ours) / SAMPLES, min(floor) / SAMPLES


def import_ms(code: str) -> float:
    """Wall milliseconds of a new process, the median of five."""
    taken = []
    for _ in range(5):
        before = time.perf_counter()
        subprocess.run(
            [sys.executable, "-c", code], check=True, env={**os.environ, "POWERTOOLS_TRACE_DISABLED": "true"}
        )
        taken.append((time.perf_counter() - before) * 1000)
    return statistics.median(taken)


def main() -> int:
    """Print the figures; 1 if the aim is missed."""
    worst = 0.0
    for name, trucks in (("live", BATCH), ("mixed", BATCH // 4)):
        ours, floor = measure(trucks)
        worst = ours / floor if name == "mixed" else worst
        print(f"{name}: {ours * 1e6:.1f} µs a sample, json.loads {floor * 1e6:.1f} µs: {ours / floor:.1f} x")
    bare = import_ms("pass")
    for name in FUNCTIONS:
        taken = import_ms(f"import collector.handlers.{name}")
        print(f"cold start of {name}: {taken:.0f} ms, bare Python {bare:.0f} ms: {taken / bare:.1f} x")
    print(f"aim: mixed at most {AIM:.0f} x: {'met' if worst <= AIM else 'missed'}")
    return 0 if worst <= AIM else 1


if __name__ == "__main__":
    sys.exit(main())
