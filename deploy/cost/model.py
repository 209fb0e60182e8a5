"""Units × prices, per service and month. Pure.

All designs share the way in: a truck's connection, a message a sample, a rule, a stream, a function. They differ in
what the function does with a sample:

- `milepost`: as docs/architecture.md says: samples are put once, a version only where something tracked changes, one
  head for each truck and batch; with gap repair's reports, seven days of retention, and the archive. Samples are kept
  42 days, versions for ever.
- `version_per_record`: what is current is read, a new version is put and the old one closed, for every record.
- `object_per_record`: one S3 object for every record.

The usual two keep each record for good, and are spared what Milepost has beside it: no archive, no retention beyond a
day, no point-in-time recovery, no alarms, no encryption of the stream, one message at each connecting. The way in is
reckoned by iot_rules/prices.py, as by `milepost rules check`; the shop's clicks are in shop.py.
"""

from dataclasses import dataclass, replace
from math import ceil
from typing import Any

from contract.errors import Misconfigured
from deploy.cost import shop, warehouse
from deploy.cost.shop import units
from iot_rules.prices import GB, HOURS, IOT_STEP, USED, connection, message, prices, rule, steps

_SHARD_RECORDS, _SHARD_BYTES = 1000.0, 1_000_000.0
_EVENT_BYTES = 6 * 2**20
_RECORD_IN_EVENT = 400
_WRITERS = 8
_HEADROOM = 0.7
_YEAR = 12
"""All designs keep a year of history: months of records that lie in the stores, on which storage is paid."""
WINDOW = 75.0
"""Seconds that a batch gathers unless the template's BatchingWindow says otherwise."""
Row = dict[str, float]


@dataclass(frozen=True, slots=True)
class Fleet:
    """trucks, each sampling every `interval` s; the functions' batches gather for `window` s.

    send_interval: seconds that a truck's samples wait to go in one message, events apart; 0: each at once.
    basic_ingest: trucks publish to the rules directly, without the message broker's charge.
    changes: whose tell how often a tracked value changes, as in units.json. Simulated trucks have every tracked value,
    drive day and night, and change most. provisioned: the tables' capacity is provisioned and follows what is used.
    """

    trucks: int
    interval: float = 60
    window: float = WINDOW
    send_interval: float = 0
    basic_ingest: bool = False
    changes: str = "simulated"
    provisioned: bool = False

    def __post_init__(self) -> None:
        if self.trucks < 1 or self.interval <= 0 or not 0 <= self.window <= 300:
            raise Misconfigured("cost: trucks from 1, an interval over 0 s, a window of 0 to 300 s")
        if not 0 <= self.send_interval <= 100 * self.interval:
            raise Misconfigured("cost: a send interval of 0 s to a hundred sampling intervals")

    @property
    def samples(self) -> float:
        """All trucks' samples in a month."""
        return self.trucks * HOURS * 3600 / self.interval


# -- messages, batches, shards


def mixture(fleet: Fleet) -> list[tuple[int, float]]:
    """How many samples a message holds, and its share of the messages: an event goes at once with what waits."""
    most = max(1, int(fleet.send_interval / fleet.interval))
    event: float = units()["changes"][fleet.changes]["events_per_sample"]
    return [*((n, event * (1 - event) ** (n - 1)) for n in range(1, most)), (most, (1 - event) ** (most - 1))]


def samples_per_message(fleet: Fleet) -> float:
    """On average."""
    return sum(n * share for n, share in mixture(fleet))


def shards(fleet: Fleet) -> int:
    """Shards of the telemetry stream that carry the fleet with room to spare, and whose function keeps up."""
    rate = fleet.trucks / fleet.interval / samples_per_message(fleet)
    sizes = sum(share * _record_bytes(n) for n, share in mixture(fleet))
    working = rate * _seconds(samples_per_message(fleet)) / units()["batches_at_a_time"]
    busiest: float = max(rate / _SHARD_RECORDS, rate * sizes / _SHARD_BYTES, working)
    return int(max(1, ceil(busiest / _HEADROOM)))


def together(fleet: Fleet) -> float:
    """Samples of one truck in one batch: those of a message, or of a window; a full batch ends it before."""
    parts = shards(fleet) * units()["batches_at_a_time"]  # each shard's trucks are in so many parts, a batch of each
    full = _batch_messages(fleet) * parts * samples_per_message(fleet) * fleet.interval / fleet.trucks
    return float(max(samples_per_message(fleet), min(fleet.window, full) / fleet.interval))


def _payload_bytes(samples: int) -> int:
    alone: int = units()["payload_bytes"]
    return alone if samples == 1 else samples * (alone + 1) + 13


def _record_bytes(samples: int) -> int:
    wrapped: int = units()["envelope_bytes"]
    return ceil(_payload_bytes(samples) / 3) * 4 + wrapped


def _batch_messages(fleet: Fleet) -> float:
    """Messages in a full batch: Lambda takes no more than 6 MB of them."""
    size = sum(share * _record_bytes(n) for n, share in mixture(fleet)) * 4 / 3 + _RECORD_IN_EVENT
    return float(min(units()["batch_records"], _EVENT_BYTES / size))


def _per_batch(name: str, samples: float) -> float:
    """What a truck's batch of so many samples takes: a line through what was measured for one and for five."""
    one, five = units()["per_message"]["1"][name], units()["per_message"]["5"][name]
    return float(one + (five - one) * (samples - 1) / 4)


def _seconds(samples: float) -> float:
    """How long the function works on a truck's batch: its CPU's part of a vCPU, and waiting; puts go together."""
    calls = _per_batch("calls", samples) - samples + ceil(samples / _WRITERS)
    return _working(_per_batch("cpu_seconds", samples)) + calls * float(units()["assumed"]["dynamodb_call_seconds"])


def _working(cpu_seconds: float) -> float:
    measured = units()
    return float(cpu_seconds * measured["mb_of_a_vcpu"] / measured["function_mb"])


def _invocations(fleet: Fleet) -> float:
    """A month's batches: one a shard's part and window, or as many as full ones make."""
    messages = fleet.samples / samples_per_message(fleet)
    windows = units()["batches_at_a_time"] * shards(fleet) * HOURS * 3600 / max(fleet.window, 1)
    return float(max(min(windows, messages), messages / _batch_messages(fleet)))


# -- services


def _way_in(fleet: Fleet, reports: float = 0, *, connecting: float = 1, retained: bool = False) -> Row:
    """reports: messages beside those with samples. connecting: messages at each connecting of a truck."""
    price, assumed, messages = prices(), units()["assumed"], fleet.samples / samples_per_message(fleet)
    hour = price["kinesis_shard_hour"] + (price["kinesis_extended_retention_shard_hour"] if retained else 0)
    published = messages * sum(share * message(_payload_bytes(n)) for n, share in mixture(fleet)) + reports * message(0)
    reconnects = fleet.trucks * HOURS / 24 * assumed["reconnects_per_truck_day"]
    ruled, put = reports * rule(0, 0, ["kinesis"])[0], reports * rule(0, 0, ["kinesis"])[1]
    for n, share in mixture(fleet):
        dollars, delivered = rule(_payload_bytes(n), _record_bytes(n), ["kinesis"])
        ruled, put = ruled + messages * share * dollars, put + messages * share * delivered
    return {
        "iot_connections": fleet.trucks * connection(),
        "iot_messages": (0.0 if fleet.basic_ingest else published) + reconnects * connecting * message(0),
        "iot_rules": ruled,
        "kinesis": shards(fleet) * HOURS * hour + put,
        "egress": (messages + reports) * assumed["egress_bytes_per_message"] / GB * price["egress_gb"],
    }


def _tables(fleet: Fleet, written: float, read: float) -> Row:
    """A month's write and read units, each by itself, or as what must be provisioned for them to be 70 % of it."""
    price = prices()
    if not fleet.provisioned:
        return {
            "dynamodb_writes": written * price["dynamodb_write_unit"],
            "dynamodb_reads": read * price["dynamodb_read_unit"],
        }
    least = units()["tables"] * HOURS
    return {
        "dynamodb_writes": max(least, written / 3600 / USED) * price["dynamodb_write_unit_hour"],
        "dynamodb_reads": max(least, read / 3600 / USED) * price["dynamodb_read_unit_hour"],
    }


def _function(fleet: Fleet, seconds: float) -> float:
    """The function on the stream; seconds: a month's work but for what each invocation takes."""
    price, measured = prices(), units()
    seconds += _invocations(fleet) * _working(measured["invocation_cpu_seconds"])
    gb = measured["function_mb"] / 1024
    return float(_invocations(fleet) * price["lambda_request"] + seconds * gb * price["lambda_gb_second_arm64"])


def _archive(fleet: Fleet, reports: float) -> Row:
    """Firehose, the function that decodes for it, and what lies in S3."""
    price, measured = prices(), units()
    messages = fleet.samples / samples_per_message(fleet)
    rounded = messages * sum(share * steps(_record_bytes(n), IOT_STEP) for n, share in mixture(fleet)) + reports
    runs = max(HOURS * 12.0, messages * sum(share * _record_bytes(n) for n, share in mixture(fleet)) / 2**20)
    cpu = fleet.samples * measured["archive_cpu_seconds_per_sample"] + runs * measured["invocation_cpu_seconds"]
    gb_seconds = cpu * measured["mb_of_a_vcpu"] / 1024  # whatever its memory: with less it takes longer
    archived = fleet.samples * _YEAR * measured["archived_bytes_per_sample"] / GB
    return {
        "lambda": runs * price["lambda_request"] + gb_seconds * price["lambda_gb_second_arm64"],
        "firehose": rounded * IOT_STEP / GB * price["firehose_gb"],
        "s3": HOURS * 4 * price["s3_put"] + archived * price["s3_storage_gb_month"],
    }


def _milepost(fleet: Fleet) -> Row:
    price, measured, changes = prices(), units(), units()["changes"][fleet.changes]
    reports = fleet.trucks * HOURS * measured["reports_per_hour"]
    assumed = measured["assumed"]
    days, batches = fleet.trucks * HOURS / 24, fleet.samples / together(fleet)
    written = fleet.samples * measured["sample_units"] + batches * measured["head_units_per_message"]
    written += days * changes["versions_per_truck_day"] * changes["units_per_version"]
    written += reports * measured["write_units_per_report"]
    runs = HOURS * 3600 / measured["repair_seconds"]
    read = batches * _per_batch("read_units", together(fleet))
    read += runs * max(1.0, fleet.trucks * measured["read_units_per_truck_scanned"])
    read += fleet.samples * assumed["late_samples"] * measured["late_read_units"]
    kept = fleet.samples * measured["retention_days"] / (HOURS / 24) * measured["stored_bytes_per_sample"] / GB
    versions = days * _YEAR * changes["versions_per_truck_day"] * measured["stored_bytes_per_version"] / GB
    logs = measured["log_bytes_per_invocation"] + assumed["platform_log_bytes_per_invocation"]
    archive = _archive(fleet, reports)
    return {
        **_way_in(fleet, reports, connecting=assumed["messages_per_reconnect"], retained=True),
        "lambda": _function(fleet, batches * _seconds(together(fleet)))
        + runs * price["lambda_request"]
        + archive.pop("lambda"),
        **_tables(fleet, written, read),
        "dynamodb_storage": (kept + versions) * price["dynamodb_storage_gb_month"]
        + versions * price["dynamodb_pitr_gb_month"],
        **archive,
        "cloudwatch": measured["alarms"] * price["cloudwatch_alarm_month"]
        + measured["metrics"] * price["cloudwatch_metric_month"]
        + logs * _invocations(fleet) / GB * price["cloudwatch_logs_gb"],
        "scheduler": runs * price["scheduler_invocation"],
        "kms": _key_requests(fleet) * price["kms_request"],
    }


def _key_requests(fleet: Fleet) -> float:
    """What Kinesis asks of KMS in a month: for each who writes or reads a shard, every five minutes."""
    principals = 3  # the rules, the function and Firehose
    return principals * shards(fleet) * HOURS * float(units()["assumed"]["kms_requests_per_hour"])


def _version_per_record(fleet: Fleet) -> Row:
    price, measured = prices(), units()["version_per_record"]
    seconds = _working(measured["cpu_seconds"]) + measured["calls"] * units()["assumed"]["dynamodb_call_seconds"]
    kept = fleet.samples * _YEAR * measured["stored_bytes"] / GB
    return {
        **_way_in(fleet),
        "lambda": _function(fleet, fleet.samples * seconds),
        **_tables(fleet, fleet.samples * measured["write_units"], fleet.samples * measured["read_units"]),
        "dynamodb_storage": kept * price["dynamodb_storage_gb_month"],
    }


def _object_per_record(fleet: Fleet) -> Row:
    price = prices()
    seconds = _working(units()["object_per_record"]["cpu_seconds"]) + units()["assumed"]["s3_call_seconds"]
    kept = fleet.samples * _YEAR * units()["payload_bytes"] / GB
    return {
        **_way_in(fleet),
        "lambda": _function(fleet, fleet.samples * seconds),
        "s3": fleet.samples * price["s3_put"] + kept * price["s3_storage_gb_month"],
    }


# -- answers

USUAL = ("version_per_record", "object_per_record")


def costs(fleet: Fleet) -> dict[str, Row]:
    """design → service → USD a month."""
    return {
        "milepost": _milepost(fleet),
        "version_per_record": _version_per_record(fleet),
        "object_per_record": _object_per_record(fleet),
    }


def _designs(fleet: Fleet) -> dict[str, Row]:
    """Each sample at once, and `_together` as the fleet's send_interval says, with and without Basic Ingest.

    The usual designs on demand, as they are usually set up; `version_per_record_provisioned` where ours are.
    """
    each = replace(fleet, send_interval=0)
    theirs = {
        f"{name}{suffix}": row
        for suffix, some in (("", each), ("_together", fleet))
        for name, row in costs(replace(some, provisioned=False)).items()
        if name in USUAL
    }
    if fleet.provisioned:
        theirs["version_per_record_provisioned"] = _version_per_record(each)
    return {
        "milepost": _milepost(each),
        "milepost_basic_ingest": _milepost(replace(each, basic_ingest=True)),
        "milepost_together": _milepost(fleet),
        "milepost_basic_ingest_together": _milepost(replace(fleet, basic_ingest=True)),
        **theirs,
    }


def _ratios(months: dict[str, float]) -> dict[str, dict[str, float]]:
    """Milepost's designs against the usual ones, whose trucks send each sample at once, or together as ours."""
    return {
        mine: {other: round(months[mine] / months[other], 3) for other in months if other.startswith(USUAL)}
        for mine in months
        if not mine.startswith(USUAL)
    }


def capacity(fleet: Fleet) -> dict[str, float]:
    """Write and read units a second that a fleet's tables take on average, each sample at once."""
    bill, price = _milepost(replace(fleet, send_interval=0, provisioned=False)), prices()
    seconds = HOURS * 3600
    return {
        verb: round(bill[f"dynamodb_{verb}s"] / price[f"dynamodb_{verb}_unit"] / seconds, 1)
        for verb in ("write", "read")
    }


def _options(fleet: Fleet) -> Row:
    """What parameters of the template add to each sample at once, USD a month; below 0: what they save."""
    price, each = prices(), replace(fleet, send_interval=0, provisioned=False)
    bill = sum(_milepost(each).values())
    traced = min(
        _invocations(each), HOURS * 3600 + 0.05 * _invocations(each)
    )  # X-Ray: one a second, and 5 % of the rest
    runs = HOURS * 12
    canary = runs * (message(0) + sum(rule(0, 0, ["kinesis"])) + 2 * price["dynamodb_write_unit"])
    return {
        "Capacity=provisioned": sum(_milepost(replace(each, provisioned=True)).values()) - bill,
        "BatchingWindow=120": sum(_milepost(replace(each, window=120)).values()) - bill,
        "Tracing=Active": traced * price["xray_trace"],
        "KeyArn": price["kms_key_month"] + runs * 8 * price["kms_request"],  # each table's key, every five minutes
        "Canary=on": canary + price["cloudwatch_alarm_month"] * 2 + price["cloudwatch_metric_month"],
    }


def answer(fleet: Fleet, events_a_day: float = 0, builds_a_day: float = 24) -> dict[str, Any]:
    """What `milepost cost --json` prints; amounts in USD a month.

    Args:
        fleet: whose samples.
        events_a_day: of the shop.
        builds_a_day: of lake and marts (deploy/warehouse.yaml).

    Returns:
        Designs, ratios, options, shop and warehouse.
    """
    designs = _designs(fleet)
    months = {name: sum(row.values()) for name, row in designs.items()}
    ratios = {
        source: _ratios({name: sum(row.values()) for name, row in _designs(replace(fleet, changes=source)).items()})
        for source in units()["changes"]
    }
    return {
        "trucks": fleet.trucks,
        "interval": fleet.interval,
        "window": fleet.window,
        "send_interval": fleet.send_interval,
        "samples_per_message": round(samples_per_message(fleet), 2),
        "shards": shards(replace(fleet, send_interval=0)),
        "shards_together": shards(fleet),
        "capacity": {"mode": "provisioned" if fleet.provisioned else "on-demand", **capacity(fleet)},
        "options": {name: round(amount, 4) for name, amount in _options(fleet).items()},
        "shop": {"events_a_day": events_a_day, **shop.answer(events_a_day)},
        "warehouse": warehouse.answer(fleet.samples / (HOURS / 24), fleet.trucks, builds_a_day),
        "prices_as_of": prices()["as_of"],
        "price_sources": prices()["sources"],
        "region": prices()["region"],
        "currency": prices()["currency"],
        "assumed": units()["assumed"],
        "changes": units()["changes"],
        "designs": {
            name: {
                "services": {service: round(amount, 4) for service, amount in row.items()},
                "month": round(months[name], 4),
                "truck_month": round(months[name] / fleet.trucks, 6),
            }
            for name, row in designs.items()
        },
        "ratios": ratios,
    }
