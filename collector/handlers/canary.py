"""The canary on AWS, on a schedule: a sample that is sent as trucks send theirs, and looked for (docs/deploy-aws.md).

It has no stream_id, so that no ledger waits for it: a canary that was switched off is not a hole.
"""

import os
from functools import cache
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from collector.handlers import bootstrap
from collector.handlers.observability import Door
from collector.history import start
from contract import machine_clock, timestamps, topics
from contract.codec import dump

door = Door("milepost-canary")


@door
def handler(_event: dict[str, Any], _context: Any) -> dict[str, int | None]:
    """Any event in; how old the newest sample in history is, ms, None where there is none yet. Then sends the next."""
    truck_id, now_ms = os.environ["CANARY_TRUCK"], machine_clock.now_ms()
    newest = bootstrap.store().latest(truck_id)
    age_ms = now_ms - timestamps.to_ms(start(newest.order_key)) if newest else None
    if age_ms is not None:
        door.metrics.add_metric("CanaryAge", MetricUnit.Milliseconds, age_ms)
    sample = {"truck_id": truck_id, "sampled_at": timestamps.from_ms(now_ms), "time_quality": "ntp"}
    _iot_data().publish(topic=topics.telemetry(truck_id), qos=1, payload=dump(sample).encode())
    return {"age_ms": age_ms}


@cache
def _iot_data() -> Any:
    import boto3

    return boto3.client("iot-data")
