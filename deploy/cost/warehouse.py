"""What lake, marts and Athena cost a month (deploy/warehouse.yaml, warehouse/aws/athena.json). Pure.

The archive that they are made of is in the fleet's own bill (Firehose, S3). A year of history lies in the marts, as in
the other designs; nearly all work grows with it here, as when builds made most marts anew: an upper bound.
"""

import json
from functools import cache
from importlib import resources
from typing import Any

from iot_rules.prices import GB, HOURS, prices

_DAYS = HOURS / 24
_TB = 2**40
_LEAST_SCAN = 10 * 2**20
"""Bytes that Athena charges for at least."""


@cache
def units() -> dict[str, Any]:
    """warehouse_units.json: what one sample, truck-day and build takes."""
    found: dict[str, Any] = json.loads((resources.files("deploy.cost") / "warehouse_units.json").read_text("utf-8"))
    return found


def build_seconds(samples_a_day: float, trucks: int, builds_a_day: float) -> float:
    """How long a build runs.

    Args:
        samples_a_day: of all trucks.
        trucks: how many.
        builds_a_day: how often it runs.

    Returns:
        Seconds on the task's vCPUs; what runs on one of them alone counts whole.
    """
    measured, assumed = units(), units()["assumed"]
    new = samples_a_day / builds_a_day
    again = samples_a_day * assumed["days_read_again"]
    reading = new * measured["take_cpu_seconds_per_sample"] + again * measured["repeat_cpu_seconds_per_sample"]
    writing = samples_a_day * assumed["part_of_a_day_written_anew"] * measured["lake_cpu_seconds_per_sample"]
    made = trucks * assumed["days_of_history"] * measured["marts_cpu_seconds_per_truck_day"]
    return float(assumed["start_seconds"] + measured["fixed_cpu_seconds"] + reading + writing + made)


def answer(samples_a_day: float, trucks: int, builds_a_day: float = 24) -> dict[str, Any]:
    """The warehouse's bill.

    Args:
        samples_a_day: of all trucks.
        trucks: how many.
        builds_a_day: how often deploy/warehouse.yaml's `Schedule` runs it.

    Returns:
        `services` (name → USD a month), `month`, their sum, `build_seconds`, `marts_gb`, and what is `assumed`.
    """
    price, measured, assumed = prices(), units(), units()["assumed"]
    builds = builds_a_day * _DAYS
    seconds = build_seconds(samples_a_day, trucks, builds_a_day)
    truck_days = trucks * assumed["days_of_history"]
    held = truck_days * measured["marts_bytes_per_truck_day"]
    exported = measured["exported_bytes_of_no_truck"] + truck_days * measured["exported_bytes_per_truck_day"]
    samples = samples_a_day * assumed["days_of_history"]
    disk = samples * (measured["store_bytes_per_sample"] + measured["lake_bytes_per_sample"]) + held + exported
    scanned = max(_LEAST_SCAN, exported * assumed["part_of_the_marts_a_query_scans"])
    hour = assumed["task_vcpus"] * price["fargate_vcpu_hour"] + assumed["task_gb"] * price["fargate_gb_hour"]
    services = {
        "fargate": builds * max(60.0, seconds) / 3600 * hour,
        "efs": disk / GB * price["efs_gb_month"],
        "s3": builds * measured["marts"] * price["s3_put"] + exported / GB * price["s3_storage_gb_month"],
        "athena": assumed["queries_a_day"] * _DAYS * scanned / _TB * price["athena_tb"],
        "glue": 0.0,
        "cloudwatch": 2 * price["cloudwatch_alarm_month"] + 2 * price["cloudwatch_metric_month"],
        "scheduler": builds * price["scheduler_invocation"],
        "image": assumed["image_bytes"] / GB * price["ecr_gb_month"],
    }
    return {
        "builds_a_day": builds_a_day,
        "services": {name: round(amount, 4) for name, amount in services.items()},
        "month": round(sum(services.values()), 4),
        "build_seconds": round(seconds, 1),
        "marts_gb": round(exported / GB, 3),
        "assumed": assumed,
    }
