"""Real neighbours for the simulator: an HTTP server that misbehaves on order, a broker, and a subscriber to it."""

import json
import socket
import subprocess
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import uvicorn
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from contract import topics
from contract.ranges import Ranges
from tests import processes
from tests.waiting import until


class FlakyBeacon:
    """`POST /v1/clicks` as docs/wire.md has it, with the faults it is told to have.

    odds: fault → how often. `shed`: 503 before storing. `drop`: stores, then breaks the connection off. `error`:
    stores, then answers 500. `forget`: stores all, gives no receipt for one. refuse: event types it rejects.
    """

    def __init__(self) -> None:
        self.odds: dict[str, float] = {}
        self.refuse: tuple[str, ...] = ()
        self.max_bytes = 1_000_000
        self.stored: Counter[str] = Counter()
        self.bodies: dict[str, dict[str, Any]] = {}
        self.batches: list[int] = []
        self._dice = Random(1)
        self._server = uvicorn.Server(
            uvicorn.Config(self._app, interface="asgi3", port=0, log_level="critical", lifespan="off")
        )
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> "FlakyBeacon":
        self._thread.start()
        until(lambda: self._server.started)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(60)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["method"] == "POST"
        assert scope["path"] == "/v1/clicks"
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        status, answer = self._answer(body)
        headers = [(b"content-type", b"application/json"), (b"retry-after", b"0")]
        if status == 0:  # announces more than it sends: the server then breaks the connection off
            status, answer, headers = 200, b"{", [(b"content-length", b"1000")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def _answer(self, body: bytes) -> tuple[int, bytes]:
        fault = next((fault for fault, odds in self.odds.items() if self._dice.random() < odds), "")
        if fault == "shed":
            return 503, b""
        if len(body) > self.max_bytes:
            return 413, b"too large"
        document = json.loads(body)
        events = document.get("events", [document])
        self.batches.append(len(events))
        receipts = [self._take(event) for event in events]
        if fault == "forget":
            receipts.pop()
        return {"drop": 0, "error": 500}.get(fault, 200), json.dumps({"receipts": receipts}).encode()

    def _take(self, event: dict[str, Any]) -> dict[str, Any]:
        event_id = event["event_id"]
        if event["event_type"] in self.refuse:
            return {"event_id": event_id, "status": "rejected", "field": "event_type", "reason": "not here"}
        assert self.bodies.setdefault(event_id, event) == event, "one event_id, two contents"
        self.stored[event_id] += 1
        return {"event_id": event_id, "status": "accepted" if self.stored[event_id] == 1 else "duplicate"}


class Broker:
    """A mosquitto of our own on a free port."""

    def __init__(self, folder: Path) -> None:
        self.port = processes.free_port()
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"user root\nlistener {self.port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n"
            f"persistence true\npersistence_location {folder}/\n"
        )
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(["/usr/sbin/mosquitto", "-c", str(self._config)], stderr=subprocess.DEVNULL)
        until(self._answers)

    def stop(self) -> None:
        """In good order: it remembers the subscriber's session."""
        self._process.terminate()
        self._process.wait(60)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class Cloud:
    """A real subscriber: which seqs of which truck and stream have arrived, and the samples themselves."""

    def __init__(self, port: int) -> None:
        self.seqs: defaultdict[str, defaultdict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        self.samples: list[dict[str, Any]] = []
        self._subscribed = threading.Event()
        self.client = Client(CallbackAPIVersion.VERSION2, client_id="cloud", clean_session=False)
        self.client.on_connect = lambda client, *_: client.subscribe([(topic, 1) for topic in topics.UPLINK])
        self.client.on_subscribe = lambda *_: self._subscribed.set()
        self.client.on_message = self._take
        self.client.reconnect_delay_set(1, 1)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert self._subscribed.wait(60)

    def _take(self, client: Client, _: Any, message: MQTTMessage) -> None:
        truck_id, *kind = message.topic.split("/")[1:]
        if kind[0] != "telemetry":
            return
        document = json.loads(message.payload)
        for sample in document["records"] if kind[1:] else [document]:
            assert sample["truck_id"] == truck_id
            self.samples.append(sample)
            self.seqs[truck_id][sample["stream_id"]].append(sample["seq"])

    def arrived(self, truck_id: str) -> Ranges:
        """The numbers of the truck's one stream."""
        (seqs,) = self.seqs[truck_id].values()
        return Ranges.of_numbers(seqs)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    running = Broker(tmp_path)
    yield running
    running.stop()


@pytest.fixture
def cloud(broker: Broker) -> Iterator[Cloud]:
    subscriber = Cloud(broker.port)
    yield subscriber
    subscriber.client.disconnect()
    subscriber.client.loop_stop()


@pytest.fixture
def beacon() -> Iterator[FlakyBeacon]:
    with FlakyBeacon() as running:
        yield running


@pytest.fixture
def wait() -> Callable[..., None]:
    """`wait_until`, for tests that cannot import this file."""
    return until


@pytest.fixture
def free_port() -> int:
    return processes.free_port()
