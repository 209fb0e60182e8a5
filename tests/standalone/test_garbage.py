"""Garbage on every door ends in dead letters, an HTTP 4xx or a broker refusal, with field and reason; nothing stops."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from contract import topics
from tests.standalone.up import Up

NOW = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
GOOD = {"truck_id": "G-1", "stream_id": "s", "sampled_at": NOW, "vehicle_speed": 50}

WRONG: list[tuple[bytes, str]] = [
    (b"not json", ""),
    (b"\xff\xfe\x00", ""),
    (b"[1, 2", ""),
    (b"42", ""),
    (json.dumps({**GOOD, "seq": 2, "vehicle_speed": "50"}).encode(), "vehicle_speed"),
    (json.dumps({**GOOD, "seq": 3, "vehicle_speed": True}).encode(), "vehicle_speed"),
    (json.dumps({**GOOD, "seq": 4, "vehicle_speed": float("nan")}).encode(), "vehicle_speed"),
    (json.dumps({**GOOD, "seq": 5, "gps_location": {"latitude": 91}}).encode(), "gps_location.latitude"),
    (
        json.dumps({**GOOD, "seq": 6, "engine_diagnostics": {"fuel_level": 130}}).encode(),
        "engine_diagnostics.fuel_level",
    ),
    (json.dumps({**GOOD, "seq": 7, "sampled_at": "1970-01-01T00:00:00Z"}).encode(), "sampled_at"),
    (json.dumps({**GOOD, "seq": 8, "sampled_at": "2100-01-01T00:00:00Z"}).encode(), "sampled_at"),
    (json.dumps({**GOOD, "seq": 9, "truck_id": "G-2"}).encode(), "truck_id"),
    (json.dumps({**GOOD, "seq": 10, "gps_location": 7}).encode(), "gps_location"),
]


class Client:
    """An MQTT 5 client that waits for each PUBACK."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.mqtt = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="garbage", protocol=mqtt.MQTTv5)
        self.mqtt.connect(parts.hostname or "", parts.port or 0)
        self.mqtt.loop_start()

    def send(self, topic: str, payload: bytes) -> None:
        self.mqtt.publish(topic, payload, qos=1).wait_for_publish(60)

    def close(self) -> None:
        self.mqtt.disconnect()
        self.mqtt.loop_stop()


@pytest.fixture
def ready(up: Up) -> dict[str, Any]:
    return up.start("--trucks", "0", "--shoppers", "0")


@pytest.fixture
def client(ready: dict[str, Any]) -> Iterator[Client]:
    made = Client(ready["mqtt"])
    yield made
    made.close()


def _until_stored(up: Up, truck_id: str) -> list[dict[str, Any]]:
    """The good sample behind the garbage arrives: nothing has stopped."""
    deadline = time.monotonic() + 90
    while not (found := up.ask("history", truck_id)):
        assert time.monotonic() < deadline, "the sample behind the garbage was not stored"
        time.sleep(0.1)
    return found


def test_over_mqtt(up: Up, client: Client) -> None:
    for payload, _ in WRONG:
        client.send("fleet/G-1/telemetry", payload)
    client.send("fleet/G-1/telemetry", json.dumps({**GOOD, "seq": 1}).encode())
    _until_stored(up, "G-1")
    letters = up.ask("dead-letters", "list")
    assert sorted(letter["field"] or "" for letter in letters) == sorted(field for _, field in WRONG)
    assert all(letter["reason"] and letter["source"] == "mqtt:fleet/G-1/telemetry" for letter in letters)
    assert {"$base64": "//4A"} in [letter["payload"] for letter in letters]


def test_one_bad_record_of_a_batch(up: Up, client: Client) -> None:
    """It alone is refused, with its own text; its number is settled, so that nobody asks for it."""
    bad = '{"truck_id":"G-1","stream_id":"s","seq":2,"sampled_at":"%s","vehicle_speed":NaN}' % NOW  # noqa: UP031
    good = [json.dumps({**GOOD, "seq": seq}) for seq in (1, 3)]
    client.send("fleet/G-1/telemetry/batch", f'{{"records":[{good[0]}, {bad} ,{good[1]}]}}'.encode())
    _until_stored(up, "G-1")
    (letter,) = up.ask("dead-letters", "list")
    assert (letter["field"], letter["payload"]) == ("vehicle_speed", bad)
    (row,) = up.ask("audit")["trucks"]
    assert (row["received"], row["dead_lettered"], row["holes"]) == (2, [[2, 2]], [])


def test_garbage_in_reports_and_statuses(up: Up, client: Client) -> None:
    client.send("fleet/G-1/report", b'{"stream_id":"s","highest_seq":5,"pending":[[9,3]]}')
    client.send("fleet/G-1/report", b"\x00")
    client.send("fleet/G-1/status", b'{"state":"flying"}')
    client.send("fleet/G 1/telemetry", json.dumps({**GOOD, "truck_id": "G 1", "seq": 1}).encode())
    client.send("fleet/G-1/telemetry", json.dumps({**GOOD, "seq": 1}).encode())
    _until_stored(up, "G-1")
    fields = sorted(letter["field"] or "" for letter in up.ask("dead-letters", "list"))
    assert fields == ["", "pending.0", "state", "truck_id"]


def test_a_topic_without_a_truck_or_with_an_endless_one_is_kept_with_its_reason(up: Up, client: Client) -> None:
    """No stream takes such a name for a key: on AWS the rule's error action keeps the message."""
    sent = [("", "telemetry"), ("", "telemetry/batch"), ("", "report"), ("", "status"), ("x" * 300, "telemetry")]
    for truck_id, what in sent:
        record = json.dumps({**GOOD, "truck_id": truck_id, "what": what}).encode()
        client.send(f"fleet/{truck_id}/{what}", record)
    deadline = time.monotonic() + 90
    while len(letters := up.ask("dead-letters", "list")) < len(sent):
        assert time.monotonic() < deadline, letters
        time.sleep(0.1)
    assert {letter["field"] for letter in letters} == {"truck_id"}
    assert all("must match [A-Za-z0-9_-]{1,64}" in letter["reason"] for letter in letters)
    assert sorted(json.loads(letter["payload"])["what"] for letter in letters) == sorted(what for _, what in sent)
    assert {letter["source"] for letter in letters if "xxx" not in letter["source"]} == {
        "mqtt:fleet//telemetry", "mqtt:fleet//report", "mqtt:fleet//status",
    }  # fmt: skip


def test_a_message_over_the_limit_is_refused_by_the_broker(up: Up, client: Client) -> None:
    """The broker ends that connection; the next one works."""
    client.mqtt.publish("fleet/G-1/telemetry", b" " * (topics.MAX_PAYLOAD * 2), qos=1)
    time.sleep(1)
    client.close()
    ready = up.ready()
    assert ready
    again = Client(ready["mqtt"])
    again.send("fleet/G-1/telemetry", json.dumps({**GOOD, "seq": 1}).encode())
    _until_stored(up, "G-1")
    again.close()


def test_over_http(up: Up, ready: dict[str, Any]) -> None:
    url = ready["http"]
    statuses = {
        name: httpx.post(f"{url}/v1/{name}", content=b"not json", timeout=60).status_code
        for name in ("clicks", "telemetry")
    }
    assert statuses == {"clicks": 400, "telemetry": 400}
    assert httpx.post(f"{url}/v1/clicks", content=b" " * 1_100_000, timeout=60).status_code == 413
    wrong = [json.loads(payload) for payload, _ in WRONG[4:] if b"NaN" not in payload and b"G-2" not in payload]
    receipts = httpx.post(f"{url}/v1/telemetry", json={"records": [*wrong, {**GOOD, "seq": 1}]}, timeout=60).json()[
        "receipts"
    ]
    assert [receipt["status"] for receipt in receipts] == ["rejected"] * len(wrong) + ["accepted"]
    assert all(receipt["field"] and receipt["reason"] for receipt in receipts[:-1])
    assert len(up.ask("dead-letters", "list")) == len(wrong) + len(statuses), "and what was no JSON"
    click = {"event_id": "e", "event_type": "click", "timestamp": NOW}
    wrong_clicks = [7, {**click, "event_id": "\0"}, {**click, "event_id": "f", "price": "1.299,00"}, click]
    answers = httpx.post(f"{url}/v1/clicks", json={"events": wrong_clicks}, timeout=60).json()["receipts"]
    assert [(each["status"], each["field"], [*each.get("warnings", ())]) for each in answers] == [
        ("rejected", None, []),
        ("rejected", "event_id", []),
        ("accepted", None, ["price"]),
        ("accepted", None, []),
    ]


def test_in_a_file(up: Up, tmp_path: Path) -> None:
    file = tmp_path / "garbage.jsonl"
    file.write_bytes(b"\n".join(payload for payload, _ in WRONG if b"G-2" not in payload))
    counts = up.ask("ingest", str(file))
    assert counts == {"accepted": 0, "duplicate": 0, "rejected": len(WRONG) - 1}
