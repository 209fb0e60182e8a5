"""The door of a running box: its own broker, on the loopback listener, by the operator's password."""

import json
import queue
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from contract import topics
from contract.errors import Misconfigured, Unreachable
from provisioning import secure_files
from provisioning.commands import Heard
from provisioning.reserved_names import OPERATOR

_SECONDS = 30.0
_QUIET = 1.0
"""Seconds without a retained status after which all of them are taken to have come."""


class LocalBroker:
    """Implements CommandDoor; use as a context. data_dir: of the running `milepost up`."""

    hears_answers = True

    def __init__(self, data_dir: Path) -> None:
        self._port = _port(data_dir)
        self._password = data_dir / "broker" / "operator.password"
        self._heard: queue.SimpleQueue[Heard] = queue.SimpleQueue()
        self._kept: dict[str, Mapping[str, Any]] = {}
        self._came = threading.Event()
        self._ready = threading.Event()
        self._denied: set[int] = set()

    def __enter__(self) -> "LocalBroker":
        self._client = client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        client.username_pw_set(OPERATOR, secure_files.read_private(self._password).decode("ascii"))
        client.on_connect = _listen
        client.on_subscribe = lambda *_: self._ready.set()
        client.on_message, client.on_publish = self._on_message, self._on_publish
        try:
            client.connect("127.0.0.1", self._port, keepalive=30)
        except OSError as error:
            raise Unreachable(f"the broker on port {self._port} does not answer ({error}): {_REMEDY}") from None
        client.loop_start()
        if not self._ready.wait(_SECONDS):
            self.__exit__()
            raise Unreachable(f"the broker on port {self._port} does not let the operator in: {_REMEDY}")
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, truck_id: str, payload: bytes) -> None:
        """To the truck's command topic."""
        sent = self._client.publish(topics.command(truck_id), payload, qos=1)
        with suppress(RuntimeError, ValueError):  # not connected now
            sent.wait_for_publish(_SECONDS)
        if not sent.is_published() or sent.mid in self._denied:
            raise Unreachable(f"the broker on port {self._port} took no command for {truck_id}: {_REMEDY}")

    def statuses(self, truck_ids: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        """Those that the broker keeps, once no more have come for a second."""
        while self._came.wait(_QUIET):
            self._came.clear()
        return {truck_id: self._kept[truck_id] for truck_id in truck_ids if truck_id in self._kept}

    def heard(self, seconds: float) -> Iterator[Heard]:
        """Reports and statuses as they come."""
        try:
            while True:
                yield self._heard.get(timeout=seconds)
        except queue.Empty:
            return

    def _on_publish(self, _client: mqtt.Client, _data: object, mid: int, code: ReasonCode, _more: object) -> None:
        if code.is_failure:
            self._denied.add(mid)

    def _on_message(self, _client: mqtt.Client, _: object, message: mqtt.MQTTMessage) -> None:
        _, truck_id, kind = message.topic.split("/", 2)
        try:
            document = json.loads(message.payload)
        except ValueError:
            return
        if not isinstance(document, dict):
            return
        if kind == "status":
            self._kept[truck_id] = document
            self._came.set()
        if not message.retain:
            self._heard.put(Heard(truck_id, kind, document))


def _listen(client: mqtt.Client, *_: object) -> None:
    client.subscribe([("fleet/+/report", 1), ("fleet/+/status", 1)])


_REMEDY = "start `milepost up` with this data directory, and say it again"


def _port(data_dir: Path) -> int:
    try:
        ready = json.loads((data_dir / "up.json").read_text(encoding="utf-8"))
        port = urlsplit(ready["mqtt"]).port or 1883
    except (OSError, ValueError, KeyError, TypeError):
        raise Unreachable(f"no box runs in {data_dir}: {_REMEDY}") from None
    if "mqtts" not in ready:
        raise Misconfigured(
            "the running box does not know trucks by certificates (it was started before `milepost provision init`, or "
            "with --broker): restart `milepost up` without --broker"
        )
    return port
