"""A minute's samples of simulated trucks and of a recorded drive, and the events in which a function gets them."""

import base64
import csv
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from agent.sampling.since_last import GROUP, group
from agent.sensors.merge import merge
from benchmarks.ingest_cpu import envelope
from contract import timestamps
from contract.codec import dump
from simulator.sensor import SimulatedSensor
from simulator.vehicle import Vehicle
from tests.recordings import recording

DRIVE = recording("obd2/css_car_3BA199E2_0164_1hz.csv")
A_DAY = 1440
NOW = datetime(2026, 6, 2, tzinfo=UTC)
"""The simulated trucks are a function of time, and so are the figures: always those of one day."""
Days = dict[str, list[tuple[int, bytes]]]
"""truck_id → (arrival, payload) of its samples, a minute apart."""


def simulated(trucks: int, minutes: int) -> Days:
    """Trucks on their tours."""
    return {truck: _tour(truck, minutes) for truck in (f"TRUCK-{number:03}" for number in range(trucks))}


def _tour(truck_id: str, minutes: int) -> list[tuple[int, bytes]]:
    sensor = SimulatedSensor(Vehicle(truck_id, 1))
    made = []
    for minute in range(minutes):
        moment = NOW - timedelta(minutes=minutes - minute)
        reading = sensor.read(moment)
        values, quality = merge([reading])
        record = {**values, "quality": quality}
        if reading.interval is not None:
            record[GROUP] = group(reading.interval, moment)
        made.append(_sample(truck_id, minute, moment, record))
    return made


def recorded() -> Days:
    """The recorded drive: each minute the last values of its second or before."""
    known: dict[str, str] = {}
    made = []
    with DRIVE.open(encoding="utf-8", newline="") as lines:
        for second, row in enumerate(csv.DictReader(lines)):
            known.update({name: text for name, text in row.items() if text})
            if second % 60 == 0:
                value = {name: float(known[name]) if name in known else None for name in row}
                engine = {
                    "engine_rpm": value["obd_rpm"],
                    "engine_temperature": value["obd_coolant_c"],
                    "battery_voltage": value["obd_module_v"],
                }
                record = {"vehicle_speed": value["obd_speed_kmh"], "engine_diagnostics": engine}
                made.append(_sample("DRIVE", second // 60, NOW - timedelta(minutes=A_DAY - second // 60), record))
    return {"DRIVE": made}


def _sample(truck_id: str, minute: int, moment: datetime, record: dict[str, Any]) -> tuple[int, bytes]:
    at = timestamps.from_datetime(moment)
    head = {"schema_version": 1, "truck_id": truck_id, "stream_id": "0123456789abcdef"}
    sample = {**head, "seq": minute + 1, "sampled_at": at, "time_quality": "gps", **record}
    return timestamps.to_ms(at) + 200, dump(sample).encode()


def message(samples: Sequence[tuple[int, bytes]]) -> tuple[int, bytes]:
    """(arrival, payload) of what goes out as one message."""
    payloads = [payload for _, payload in samples]
    return samples[-1][0], payloads[0] if len(payloads) == 1 else b'{"records":[' + b",".join(payloads) + b"]}"


def events(days: Days, together: int) -> Iterator[dict[str, Any]]:
    """What the telemetry function is called with, a message of each truck at a time."""
    number = 0
    for first in range(0, len(next(iter(days.values()))), together):
        records = []
        for truck, samples in days.items():
            number += 1
            received_ms, payload = message(samples[first : first + together])
            data = base64.b64encode(envelope(truck, received_ms, payload)).decode("ascii")
            entry = {"partitionKey": truck, "sequenceNumber": str(number), "data": data}
            kinesis = {**entry, "approximateArrivalTimestamp": received_ms / 1000}
            records.append({"eventID": f"shard:{number}", "eventSource": "aws:kinesis", "kinesis": kinesis})
        yield {"Records": records}
