"""Samples and clicks as they lie in Kafka, doubled and shuffled, and the worker processes that take them."""

import base64
import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from collector import queries
from collector.ingest.stream_records import records_of_items
from collector.settings import CollectorSettings
from collector.stores.factory import open_reader
from collector.streams import Record
from collector.streams.kafka import KafkaAddress, KafkaStream, lag
from contract import timestamps
from contract.codec import Json, dump
from contract.errors import Retryable, Unreachable
from contract.ingest_items import Item
from tests.milepost_process import REPOSITORY, environment

_KINDS = ("page_view", "view", "add_to_cart", "purchase")
_A_DAY_AGO = time.time_ns() // 1_000_000 // 60_000 * 60_000 - 86_400_000


def samples(trucks: int, each: int) -> list[dict[str, Any]]:
    """Minute samples, with a state of the brakes that changes every seven."""
    return [
        {
            "schema_version": 1, "truck_id": f"TRUCK-{truck:03d}", "stream_id": f"s{truck}", "seq": seq,
            "sampled_at": timestamps.from_ms(_A_DAY_AGO + seq * 1000), "time_quality": "gps",
            "vehicle_speed": seq % 90, "odometer_reading": 1000 + seq,
            "vehicle_health_and_maintenance": {"brake_status": ("good", "worn")[seq // 7 % 2]},
        }
        for truck in range(trucks) for seq in range(1, each + 1)
    ]  # fmt: skip


def clicks(count: int) -> list[dict[str, Any]]:
    """Events of sessions of eight."""
    return [
        {
            "event_id": f"e{number}", "event_type": _KINDS[number % 4], "session_id": f"S{number // 8}",
            "user_id": f"U{number // 24}", "item_id": f"MOB{number % 11:03d}", "price": 10, "quantity": 1,
            "timestamp": timestamps.from_ms(_A_DAY_AGO + number * 37),
        }
        for number in range(count)
    ]  # fmt: skip


def telemetry_record(sample: dict[str, Json]) -> Record:
    """As the rule makes it."""
    truck_id = str(sample["truck_id"])
    data = base64.b64encode(dump(sample).encode()).decode()
    envelope = {"data": data, "truck_id": truck_id, "client_id": truck_id, "received_at": _A_DAY_AGO + 86_000_000}
    return Record(truck_id, json.dumps(envelope).encode())


def click_records(events: Sequence[dict[str, Json]]) -> list[Record]:
    """As the beacon puts them."""
    items = [Item("click", "http:clicks", event, _A_DAY_AGO + 86_000_000, text=dump(event)) for event in events]
    return [record for record, _ in records_of_items(items)]


def put(address: KafkaAddress, topic: str, records: Sequence[Record]) -> None:
    """Until Kafka has them, also while a broker is away: they may then be there twice."""
    stream = KafkaStream(address, topic, deadline=10)
    for start in range(0, len(records), 2000):
        while True:
            try:
                assert not any(stream.put(records[start : start + 2000]))
                break
            except (Retryable, Unreachable):
                time.sleep(0.5)
    stream.close()


def feed(address: KafkaAddress, wanted: list[dict[str, Any]], events: list[dict[str, Any]], seed: int) -> None:
    """All of it twice, in a random order."""
    chance = Random(seed)
    telemetry = [telemetry_record(sample) for sample in wanted] * 2
    chance.shuffle(telemetry)
    doubled = events * 2
    chance.shuffle(doubled)
    put(address, f"{address.prefix}-telemetry", telemetry)
    shop = [record for start in range(0, len(doubled), 5) for record in click_records(doubled[start : start + 5])]
    put(address, f"{address.prefix}-clicks", shop)


@dataclass
class Workers:
    """`milepost collect` as processes on one data directory; ended with the test."""

    address: KafkaAddress
    folder: Path
    running: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def start(self) -> None:
        """One more."""
        url = f"kafka://{self.address.brokers}/{self.address.prefix}"
        argv = [sys.executable, "-m", "milepost", "collect", "--stream", url, "--data-dir", str(self.folder)]
        with (self.folder.parent / "workers.log").open("ab") as log:
            self.running.append(
                subprocess.Popen(
                    argv, env=environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=REPOSITORY
                )
            )

    def kill_one(self, index: int) -> None:
        """SIGKILL, and another one in its place."""
        self.running.pop(index).kill()
        self.start()

    def revive(self) -> None:
        """As whoever watches over them does: one that found no broker at its start is started again."""
        for index, each in enumerate(list(self.running)):
            if each.poll() == 3:
                self.running.pop(index)
                self.start()
                self.running.insert(index, self.running.pop())

    def wait(self, seconds: float) -> None:
        """Until nothing is left to take."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.revive()
            said = (self.folder.parent / "workers.log").read_text()[-2000:]
            assert all(each.poll() is None for each in self.running), said
            try:
                if not any(lag(self.address).values()):
                    return
            except Unreachable:
                pass
            time.sleep(0.5)
        raise AssertionError(f"{lag(self.address)} left: " + (self.folder.parent / "workers.log").read_text()[-2000:])

    def stop(self) -> list[int]:
        """In good order; their exit codes."""
        for each in self.running:
            each.send_signal(signal.SIGTERM)
        return [each.wait(30) for each in self.running]

    def end(self) -> None:
        for each in self.running:
            if each.poll() is None:
                each.kill()
                each.wait()


def contents(folder: Path) -> dict[str, Any]:
    """What a store tells of samples and clicks: history, completeness and every view; not when it was received."""
    reader = open_reader(CollectorSettings(data_dir=folder).store_url)
    assert reader is not None
    found: dict[str, Any] = {"trucks": {}}
    for row in queries.trucks(reader):
        versions = queries.history(reader, row["truck_id"])
        for version in versions:
            version.pop("load_timestamp")
        found["trucks"][row["truck_id"]] = versions
    audit = queries.audit(reader, now_ms=_A_DAY_AGO + 90_000_000, grace_ms=0, truck_id=None)
    found["audit"] = [(row["truck_id"], row["received"], row["holes"], row["conflicts"]) for row in audit["trucks"]]
    found["clicks"] = {view: queries.clicks(reader, view) for view in ("item", "minute", "funnel")}
    found["dead"] = sorted(row["reason"] for row in queries.dead_letters(reader))
    reader.close()
    return found
