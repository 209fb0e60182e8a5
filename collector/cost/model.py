"""Units × prices, per service and month. Pure.

All designs share the way in: a truck's connection, a message a sample, a rule, a stream, a function. They differ in
what the function does with a sample:

- `milepost`: DESIGN §4, samples put once, a version only where something tracked changes, a head a truck and batch;
  with gap repair's reports, seven days of retention, and the archive. Samples are kept 42 days, versions for ever.
- `version_per_record`: what is current is read, a new version is put and the old one closed, for every record.
- `object_per_record`: one S3 object for every record.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from math import ceil
from typing import Any

from contract.errors import Misconfigured

HOURS = 730
MINUTES = HOURS * 60
_GB = 10**9
_SHARD_RECORDS, _SHARD_BYTES = 1000.0, 1_000_000.0
_HEADROOM = 0.7
_YEAR = 12
"""All designs keep a year of history: months of records that lie in the stores, on which storage is paid."""
Row = dict[str, float]


@dataclass(frozen=True, slots=True)
class Fleet:
    """trucks, each sampling every `interval` s; the functions' batches gather for `window` s.

    basic_ingest: trucks publish to the rules directly, without the message broker's charge.
    """

    trucks: int
    interval: float = 60
    window: float = 60
    basic_ingest: bool = False

    def __post_init__(self) -> None:
        if self.trucks < 1 or self.interval <= 0 or not 0 <= self.window <= 300:
            raise Misconfigured("cost: trucks from 1, an interval over 0 s, a window of 0 to 300 s")

    @property
    def samples(self) -> float:
        """All trucks' samples in a month."""
        return self.trucks * HOURS * 3600 / self.interval


@cache
def prices() -> dict[str, Any]:
    """prices.json."""
    return _read("prices.json")


@cache
def units() -> dict[str, Any]:
    """units.json."""
    return _read("units.json")


def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((resources.files("collector.cost") / name).read_text("utf-8"))
    return found


def shards(fleet: Fleet) -> int:
    """Shards of the telemetry stream that carry the fleet with room to spare."""
    rate = fleet.trucks / fleet.interval
    busiest: float = max(rate / _SHARD_RECORDS, rate * units()["stream_record_bytes"] / _SHARD_BYTES)
    return int(max(1, ceil(busiest / _HEADROOM)))


def together(fleet: Fleet) -> float:
    """Samples of one truck in one batch: it ends with the window, or when it is full, which many trucks bring soon."""
    full: float = units()["batch_records"] * shards(fleet) * fleet.interval / fleet.trucks
    return max(1.0, min(fleet.window, full) / fleet.interval)


def costs(fleet: Fleet) -> dict[str, Row]:
    """design → service → USD a month."""
    return {
        "milepost": _milepost(fleet),
        "version_per_record": _version_per_record(fleet),
        "object_per_record": _object_per_record(fleet),
    }


def _way_in(fleet: Fleet, messages: float, bytes_each: float, *, retained: bool) -> Row:
    price = prices()
    sent = 0.0 if fleet.basic_ingest else messages * ceil(bytes_each / 5120) * price["iot_message_5kb"]
    rules = messages * ceil(bytes_each / 5120) * (price["iot_rule_triggered"] + price["iot_action"])
    hour = price["kinesis_shard_hour"] + (price["kinesis_extended_retention_shard_hour"] if retained else 0)
    put = messages * ceil(units()["stream_record_bytes"] / 25_600) * price["kinesis_put_unit_25kb"]
    return {
        "iot_connections": fleet.trucks * MINUTES * price["iot_connection_minute"],
        "iot_messages": sent,
        "iot_rules": rules,
        "kinesis": shards(fleet) * HOURS * hour + put,
    }


def _function(fleet: Fleet, waiting: float) -> float:
    """One function on the stream, an invocation a batch. waiting: seconds a sample that it waits for other services."""
    price, measured, assumed = prices(), units(), units()["assumed"]
    invocations = _invocations(fleet)
    working = assumed["cpu_seconds_per_sample"] / assumed["vcpus"]
    seconds = invocations * assumed["seconds_per_invocation"] + fleet.samples * (working + waiting)
    gb = measured["function_mb"] / 1024
    return float(invocations * price["lambda_request"] + seconds * gb * price["lambda_gb_second_arm64"])


def _invocations(fleet: Fleet) -> float:
    """A month's batches: one a shard and window, or as many as full ones make."""
    windows = shards(fleet) * HOURS * 3600 / max(fleet.window, 1)
    return float(max(min(windows, fleet.samples), fleet.samples / units()["batch_records"]))


def _milepost(fleet: Fleet) -> Row:
    price, measured, assumed = prices(), units(), units()["assumed"]
    reports = fleet.trucks * HOURS * assumed["reports_per_hour"]
    waiting = measured["calls_per_batch"] * assumed["dynamodb_call_seconds"] / together(fleet)
    written = fleet.samples * (measured["sample_units"] + measured["head_units_per_batch"] / together(fleet))
    written += fleet.trucks * HOURS / 24 * measured["version_units_per_truck_day"]
    written += reports * measured["write_units_per_report"]
    read = fleet.samples * measured["read_units_per_batch"] / together(fleet)
    runs = HOURS * 3600 / measured["repair_seconds"]
    read += runs * max(1.0, fleet.trucks * measured["read_units_per_truck_scanned"])
    kept = fleet.samples * measured["retention_days"] / (HOURS / 24) * measured["stored_bytes_per_sample"] / _GB
    versions = fleet.trucks * measured["versions_per_truck_day"] * 365 * measured["stored_bytes_per_version"] / _GB
    archived = fleet.samples * _YEAR * measured["archived_bytes_per_sample"] / _GB
    objects = 2 * HOURS * 4
    return {
        **_way_in(fleet, fleet.samples + reports, measured["payload_bytes"], retained=True),
        "lambda": _function(fleet, waiting) + runs * price["lambda_request"],
        "dynamodb_writes": written * price["dynamodb_write_unit"],
        "dynamodb_reads": read * price["dynamodb_read_unit"],
        "dynamodb_storage": (kept + versions) * price["dynamodb_storage_gb_month"]
        + versions * price["dynamodb_pitr_gb_month"],
        "firehose": fleet.samples * max(5_000.0, measured["stream_record_bytes"]) / _GB * price["firehose_gb"],
        "s3": objects * price["s3_put"] + archived * price["s3_storage_gb_month"],
        "cloudwatch": measured["alarms"] * price["cloudwatch_alarm_month"]
        + assumed["metrics"] * price["cloudwatch_metric_month"]
        + assumed["log_bytes_per_invocation"] * _invocations(fleet) / _GB * price["cloudwatch_logs_gb"],
        "scheduler": runs * price["scheduler_invocation"],
    }


def _version_per_record(fleet: Fleet) -> Row:
    price, measured = prices(), units()["version_per_record"]
    waiting = measured["calls"] * units()["assumed"]["dynamodb_call_seconds"]
    kept = fleet.samples * _YEAR * measured["stored_bytes"] / _GB
    return {
        **_way_in(fleet, fleet.samples, units()["payload_bytes"], retained=False),
        "lambda": _function(fleet, waiting),
        "dynamodb_writes": fleet.samples * measured["write_units"] * price["dynamodb_write_unit"],
        "dynamodb_reads": fleet.samples * measured["read_units"] * price["dynamodb_read_unit"],
        "dynamodb_storage": kept * price["dynamodb_storage_gb_month"],
    }


def _object_per_record(fleet: Fleet) -> Row:
    price = prices()
    return {
        **_way_in(fleet, fleet.samples, units()["payload_bytes"], retained=False),
        "lambda": _function(fleet, units()["assumed"]["s3_call_seconds"]),
        "s3": fleet.samples * price["s3_put"]
        + fleet.samples * _YEAR * units()["payload_bytes"] / _GB * price["s3_storage_gb_month"],
    }


def answer(fleet: Fleet) -> dict[str, Any]:
    """What `milepost cost --json` prints; amounts in USD a month."""
    broker = costs(fleet)
    basic = _milepost(Fleet(fleet.trucks, fleet.interval, fleet.window, basic_ingest=True))
    designs = {**broker, "milepost_basic_ingest": basic}
    totals = {name: sum(row.values()) for name, row in designs.items()}
    usual = ("version_per_record", "object_per_record")
    return {
        "trucks": fleet.trucks,
        "interval": fleet.interval,
        "window": fleet.window,
        "shards": shards(fleet),
        "prices_as_of": prices()["as_of"],
        "region": prices()["region"],
        "currency": prices()["currency"],
        "designs": {
            name: {
                "services": {service: round(amount, 4) for service, amount in row.items()},
                "month": round(totals[name], 4),
                "truck_month": round(totals[name] / fleet.trucks, 6),
            }
            for name, row in designs.items()
        },
        "ratios": {
            mine: {other: round(totals[mine] / totals[other], 3) for other in usual}
            for mine in ("milepost", "milepost_basic_ingest")
        },
    }
