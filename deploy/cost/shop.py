"""What the shop's clicks cost a month: doors, stream, function, events and counters. Pure.

The stack has them whether there is a shop or not, so the stream's shard and the secret are in it without an event too.
"""

import json
from functools import cache
from importlib import resources
from math import ceil
from typing import Any

from iot_rules.prices import GB, HOURS, KINESIS_STEP, prices, steps

_DAYS = HOURS / 24
_SHARD_RECORDS = 700.0
"""A second, of 1,000 that a shard takes."""


@cache
def units() -> dict[str, Any]:
    """units.json: what one sample, batch, report or event takes."""
    found: dict[str, Any] = json.loads((resources.files("deploy.cost") / "units.json").read_text("utf-8"))
    return found


def answer(events_a_day: float) -> dict[str, Any]:
    """The clicks' bill.

    Args:
        events_a_day: page views, clicks, orders: what beacon.js sends.

    Returns:
        `services` (name → USD a month) and `month`, their sum.
    """
    price, measured, assumed = prices(), units()["event"], units()["assumed"]
    events = events_a_day * _DAYS
    requests = events / assumed["events_per_request"]
    shards = max(1, ceil(requests / (HOURS * 3600) / _SHARD_RECORDS))
    size = measured["bytes"] * assumed["events_per_request"]
    windows = min(requests, HOURS * 60)
    seconds = requests * assumed["request_seconds"] + events * measured["cpu_seconds"]
    seconds += windows * assumed["dynamodb_call_seconds"] * 10
    gb = units()["function_mb"] / 1024
    services = {
        "api_gateway": requests * price["api_gateway_request"],
        "kinesis": shards * HOURS * (price["kinesis_shard_hour"] + price["kinesis_extended_retention_shard_hour"])
        + requests * steps(size, KINESIS_STEP) * price["kinesis_put_unit_25kb"],
        "lambda": (requests + windows) * price["lambda_request"] + seconds * gb * price["lambda_gb_second_arm64"],
        "dynamodb_writes": events * measured["write_units"] * price["dynamodb_write_unit"],
        "dynamodb_storage": events * 14 / _DAYS * measured["stored_bytes"] / GB * price["dynamodb_storage_gb_month"],
        "firehose": requests * steps(size, 5 * 1024) * 5 * 1024 / GB * price["firehose_gb"],
        "egress": requests * assumed["egress_bytes_per_response"] / GB * price["egress_gb"],
        "secrets": price["secret_month"] + _DAYS * assumed["cold_starts_a_day"] * price["secret_call"],
        "cloudwatch": requests * assumed["access_log_bytes"] / GB * price["cloudwatch_logs_gb"],
    }
    return {
        "services": {name: round(amount, 4) for name, amount in services.items()},
        "month": round(sum(services.values()), 4),
    }
