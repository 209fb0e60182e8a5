"""A box with identities, and honest clients that use it all the while: what they sent must be in it once."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from agent.enrollment.credential_store import Wallet
from agent.enrollment.enrollment_file import EnrolmentFile
from contract import topics
from provisioning.registry.sqlite import LocalRegistry
from tests.provisioning.depot import enrolled_by, new_truck_file
from tests.provisioning.mosquitto import Peer
from tests.standalone.up import Up
from tests.waiting import until

KEY = "key-of-the-honest-http-truck"
SHOP = "shop.example"
SETTINGS = f"""
[beacon]
rate = 20
burst = 40
telemetry_keys = {{ "{KEY}" = "H1" }}
"""


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Box:
    """A running `milepost up` with a truck T1 by MQTT, one H1 by HTTP with a key, and shoppers."""

    up: Up
    ready: dict[str, Any]
    registry: LocalRegistry
    folder: Path
    clicks: int = 0
    samples: dict[str, int] = field(default_factory=lambda: {"T1": 0, "H1": 0})
    faults: list[str] = field(default_factory=list)
    newcomers: int = 0

    @property
    def http(self) -> tuple[str, int]:
        return _address(self.ready["http"])

    @property
    def enroll(self) -> tuple[str, int]:
        return _address(self.ready["enroll"])

    @property
    def mqtts(self) -> tuple[str, int]:
        return _address(self.ready["mqtts"])

    @property
    def said(self) -> str:
        assert self.up.log
        return self.up.log.read_text()

    def health(self) -> dict[str, Any]:
        answer = httpx.get(f"{self.ready['http']}/healthz", timeout=10, trust_env=False)
        return {"code": answer.status_code, **answer.json()}

    def file(self, truck_id: str) -> EnrolmentFile:
        """Add a truck and make its enrolment file."""
        return new_truck_file(self.registry, truck_id, broker=self.ready["mqtts"], url=self.ready["enroll"])

    def newcomer(self) -> Wallet:
        """A truck that enrolls and proves its certificate at the broker, over new connections of its own."""
        self.newcomers += 1
        wallet = self._enrolled(f"N{self.newcomers}")
        assert wallet.current
        return wallet

    def peer(self, wallet: Wallet, name: str) -> Peer:
        assert wallet.current
        certificate, key = wallet.current.certificate_file, wallet.current.key_file
        peer = Peer(self.mqtts[1], name, ca=wallet.ca_file, certificate=certificate, key=key)
        assert peer.connect() == "Success"
        return peer

    @contextlib.contextmanager
    def served(self) -> Iterator[None]:
        """Honest clients go on meanwhile, and a newcomer enrolls; whatever goes wrong for one of them fails here."""
        stop = threading.Event()
        workers = [threading.Thread(target=self._go_on, args=(act, stop)) for act in (self.shop, self.post, self.send)]
        for worker in workers:
            worker.start()
        before = self._served()
        try:
            yield
            self.newcomer()
        finally:
            stop.set()
            for worker in workers:
                worker.join(30)
        assert self.faults == []
        assert all(later > was for later, was in zip(self._served(), before, strict=True))

    def serves_each(self, times: int = 3) -> None:
        """Wait until each honest client has been served so many times more, or one of them was not."""
        before = self._served()
        until(lambda: self.faults or all(now >= was + times for now, was in zip(self._served(), before, strict=True)))

    def _served(self) -> tuple[int, ...]:
        return (self.clicks, *self.samples.values())

    def _go_on(self, act: Any, stop: threading.Event) -> None:
        while not stop.wait(0.1):
            try:
                act()
            except Exception as error:  # noqa: BLE001 - told at the end
                self.faults.append(f"{act.__name__}: {error!r}")

    def shop(self) -> None:
        """From elsewhere, by the name of the shop, each by a connection of its own."""
        click = {"event_id": f"honest-{self.clicks}", "event_type": "view", "item_id": "honest"}
        answer = client("127.0.0.2").post(f"{self.ready['http']}/v1/clicks", json=click, headers={"host": SHOP})
        assert answer.status_code == 200, answer.text
        assert answer.json()["receipts"][0]["status"] == "accepted", answer.text
        self.clicks += 1

    def post(self) -> None:
        record = self._sample("H1")
        headers = {"host": SHOP, "authorization": f"Bearer {KEY}"}
        answer = client("127.0.0.3").post(f"{self.ready['http']}/v1/telemetry", json=record, headers=headers)
        assert answer.json()["receipts"][0]["status"] == "accepted", answer.text
        self.samples["H1"] += 1

    def send(self) -> None:
        sent = self.truck.publish(topics.telemetry("T1"), json.dumps(self._sample("T1")).encode())
        assert sent == "Success", sent
        self.samples["T1"] += 1

    def _sample(self, truck_id: str) -> dict[str, Any]:
        seq = self.samples[truck_id] + 1
        return {"truck_id": truck_id, "stream_id": "s", "seq": seq, "sampled_at": now(), "vehicle_speed": seq % 100}

    def start_truck(self) -> None:
        self.truck = self.peer(self._enrolled("T1"), "T1")

    def holds_all_that_was_sent(self) -> None:
        """Nothing honest is lost, and nothing is counted twice."""
        counted = {row["item_id"]: row["count"] for row in self.up.ask("clicks")}
        assert counted.get("honest", 0) == self.clicks
        until(lambda: self._audited()["T1"]["received"] >= self.samples["T1"])  # it has the broker's word, before ours
        audited = self._audited()
        for truck_id, count in self.samples.items():
            row = audited[truck_id]
            assert (row["received"], row["highest_seq"], row["holes"]) == (count, count, []), row

    def _audited(self) -> dict[str, Any]:
        return {row["truck_id"]: row for row in self.up.ask("audit")["trucks"]}

    def _enrolled(self, truck_id: str) -> Wallet:
        wallet = Wallet(self.folder / truck_id)
        enrolled_by(self.file(truck_id), wallet)
        return wallet


def client(source: str) -> httpx.Client:
    """One whose requests come from that address of the loopback network."""
    transport = httpx.HTTPTransport(local_address=source, verify=False)  # else a list of CAs is read for each
    return httpx.Client(transport=transport, timeout=10, trust_env=False)


def connected(where: tuple[str, int], source: str) -> socket.socket:
    return socket.create_connection(where, timeout=60, source_address=(source, 0))


def _address(url: str) -> tuple[str, int]:
    parts = httpx.URL(url)
    assert parts.port
    return parts.host, parts.port
