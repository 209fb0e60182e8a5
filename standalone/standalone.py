"""One machine, whole: the data directory's lock, broker, writer, uplink, HTTP and gap repair, started in that order.

Promises to whoever runs it: `DIR/up.json` appears only when everything answers and goes with a clean stop; children
die with this process, and what a killed one left is ended first; the collector's session exists before any truck can
connect. A kill at any moment loses nothing that was acknowledged: the store commits before the broker is told.
"""

import json
import logging
import os
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from starlette.routing import BaseRoute

from collector.beacon.admission import free_bytes_of
from collector.beacon.app import create_app
from collector.beacon.settings import BeaconSettings
from collector.history import TrackingPolicy
from collector.ingest import Ingest, vouch_for_policy
from collector.settings import CollectorSettings
from collector.stores.factory import open_reader, open_store
from contract import atomic_file, descriptors
from contract.errors import Misconfigured
from contract.forgotten import Forgotten
from contract.http_access import HttpSettings
from iot_rules.engine import Rules, load_documents
from standalone.child_processes import Children, lock, reap
from standalone.click_retention import keep_within
from standalone.gap_repair_loop import keep_asking
from standalone.group_commit_writer import Writer
from standalone.http_gate import HttpGate
from standalone.http_server import HOST, HttpServer
from standalone.kafka_doors import KafkaDoors
from standalone.mosquitto_supervisor import MosquittoSupervisor
from standalone.mqtt_consumer import items_of
from standalone.mqtt_sessions import MqttSessions
from standalone.supervised_loops import Loops
from standalone.truck_access import TruckAccess

log = logging.getLogger(__name__)

READY = "up.json"

Doors = Callable[[ExitStack, Callable[[], dict[str, Any]]], Sequence[BaseRoute]]
"""Takes the stack to open things on, and what gives the figures of the running service; returns routes."""


Companions = Callable[[Writer], Sequence[tuple[Any, ...]]]
"""Takes the writer; returns loops to run beside ours: each a function that takes `stop`, and its other arguments."""


class Standalone:
    """Use as a context: inside it everything runs. Errors as its parts raise them (Misconfigured, Unreachable).

    broker_url: of another broker than its own. identities: those of the data directory, which it closes. doors: what
    other rooms serve on the same port; each opens what it needs on the stack that it is given, and returns its routes.
    own_sign_in: what of that judges requests from elsewhere itself (standalone.http_gate). companions: other rooms'
    loops. host: the address that HTTP listens on. http: the `[http]` table. stream: what
    stands between doors and ingest.
    """

    def __init__(  # noqa: PLR0913 - what it is composed of
        self,
        collector: CollectorSettings,
        beacon: BeaconSettings,
        *,
        port: int,
        broker_url: str | None = None,
        identities: TruckAccess | None = None,
        doors: Sequence[Doors] = (),
        own_sign_in: Sequence[str] = (),
        companions: Companions | None = None,
        host: str = HOST,
        http: HttpSettings | None = None,
        stream: KafkaDoors | None = None,
    ) -> None:
        self.folder = collector.data_dir
        self._collector = collector
        self._beacon = beacon
        self._port = port
        self._broker_url = broker_url
        self._stack = ExitStack()
        self._stop = threading.Event()
        self.loops = Loops()
        self.broker: MosquittoSupervisor | None = None
        self.identities = identities
        self._doors, self._own_sign_in, self._companions = doors, own_sign_in, companions
        self._kafka = stream
        self._host, self._http = host, http or HttpSettings()

    def __enter__(self) -> "Standalone":
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def _start(self, stack: ExitStack) -> None:
        if self.identities:
            stack.callback(self.identities.close)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder.chmod(0o700)  # also one that the release before has made
        stack.enter_context(lock(self.folder))
        ready = self.folder / READY
        ready.unlink(missing_ok=True)
        for name in reap(self.folder):
            log.warning("orphan_ended name=%s", name)
        policy = TrackingPolicy.of(self._collector.track)
        store = open_store(self._collector.store_url)
        stack.callback(store.close)
        vouch_for_policy(store, policy)
        writer = stack.enter_context(Writer(store, Ingest(store, policy, forgotten=Forgotten(self.folder))))
        if self._kafka:
            self._kafka.open(writer, self.folder)
            stack.callback(self._kafka.close)
        beacon = self._beacon.closed() if self.identities else self._beacon
        if not beacon.identity_secret:
            beacon = beacon.model_copy(update={"identity_secret": _identity_secret(self.folder)})

        def stats() -> dict[str, Any]:
            return {**writer.stats(), **self.health()}

        app = create_app(
            self._kafka.submit if self._kafka else writer.submit,
            settings=beacon,
            stats=stats,
            trusted=self._http.networks,
            free=free_bytes_of(self.folder),
            retired=self.identities.is_retired if self.identities else None,
        )
        for open_doors in self._doors:
            app.router.routes.extend(open_doors(stack, stats))
        self._clicks = app.figures
        self.gate = HttpGate(app, self._own_sign_in, beacon.public_paths)
        self.web = HttpServer(self.gate, self._port, host=self._host, http=self._http)
        stack.callback(self.web.stop)
        self.children = Children(self.folder)
        stack.callback(self.children.stop, 3.0)
        uplink = self._connect(stack, writer)
        self.web.start()
        if self.identities:
            self.identities.serve(stack)
            self._thread(stack, self.identities.keep)
            self._thread(stack, self.identities.watch)
        self._thread(stack, keep_asking, writer, uplink, grace_ms=int(self._collector.resend_after * 1000))
        read = partial(open_reader, self._collector.store_url)
        self._thread(stack, keep_within, writer, read, self._beacon)
        if self._kafka:
            self._thread(stack, self._kafka.supervise, self.children, self.folder)
            self._thread(stack, self._kafka.watch)
        for target, *arguments in self._companions(writer) if self._companions else ():
            self._thread(stack, target, *arguments)
        self._announce()
        stack.callback(ready.unlink, missing_ok=True)
        if self.broker:
            self._thread(stack, self._supervise, self.broker)

    def figures(self) -> dict[str, Mapping[str, float]]:
        """Numbers of the doors, for /metrics: `http` and (with identities) `enrollment` connections as
        contract.http_connections.Connections counts them, `refused` requests, `clicks` that were turned away
        (collector.beacon.app), the MQTT sessions of the `uplink` (standalone.mqtt_sessions), this process'
        `descriptors`, and the certificates' `expiry` (standalone.truck_access).
        """
        found: dict[str, Mapping[str, float]] = {
            "http": self.web.figures(),
            "requests": {"refused": self.gate.refused},
            "clicks": self._clicks(),
            "descriptors": {"open": descriptors.in_use(), "limit": descriptors.raise_limit()},
            "loops": {"failures": self.loops.failures, "failing": len(self.loops.failing())},
            "broker": {
                "restarts": self.broker.restarts if self.broker else 0,
                "up": int(self._broker_is_up),
                "full": int(self._broker_is_full),
            },
            "uplink": self._uplink.figures(),
        }
        if self._kafka:
            found["kafka"] = self._kafka.figures()
        if self.identities:
            found["enrollment"] = self.identities.figures()
            found["expiry"] = self.identities.expiry()
        return found

    def health(self) -> dict[str, Any]:
        """For /healthz: `figures`, and `failing` with the reason where a part does not do its work."""
        found: dict[str, Any] = dict(self.figures())
        reasons = [f"{name}: {why}" for name, why in self.loops.failing().items()]
        if not self._broker_is_up:
            reasons.append("the broker is down")
        elif self._broker_is_full:
            reasons.append("the broker has no descriptor left: trucks that are connected go on, others cannot connect")
        elif without := self._uplink.failing:
            reasons.append(f"no connection to the broker: {without}")
        return {**found, "failing": "; ".join(reasons)} if reasons else found

    @property
    def _broker_is_full(self) -> bool:
        return self.broker is not None and self.broker.full

    @property
    def _broker_is_up(self) -> bool:
        return self.broker is None or self.broker.alive

    def _connect(self, stack: ExitStack, writer: Writer) -> MqttSessions:
        if self._broker_url is None:
            self.broker = self._start_broker(stack)
        self.mqtt_url = self._broker_url or (self.broker.url if self.broker else "")
        user = self.identities.collector if self.identities else None
        submit, unpack = (self._kafka.forward, self._kafka.unpack) if self._kafka else (writer.submit, items_of)
        self._uplink = uplink = MqttSessions(
            self.mqtt_url, _session_name(self.folder), Rules(load_documents()), submit, unpack=unpack, user=user
        )
        stack.callback(uplink.stop)
        uplink.start()
        return uplink

    def _start_broker(self, stack: ExitStack) -> MosquittoSupervisor:
        """On the port of the last time if it is free: trucks come back to the address that they were given."""
        remembered = self.folder / "broker" / "port"
        port = int(remembered.read_text()) if remembered.exists() else 0
        for choice in (port, 0):
            broker = MosquittoSupervisor(self.folder / "broker", port=choice, children=self.children)
            if self.identities:
                broker.identities = self.identities
                self.identities.guard(broker)
            try:
                broker.start()
            except Misconfigured:
                if not choice:
                    raise
                log.warning("broker_port_taken port=%d", choice)
                continue
            break
        stack.callback(broker.stop, 3.0)
        remembered.write_text(f"{broker.port}\n")
        return broker

    def _thread(self, stack: ExitStack, target: Any, *args: Any, **options: Any) -> None:
        arguments = {**options, "stop": self._stop}
        thread = threading.Thread(target=self.loops.run, args=(target, *args), kwargs=arguments, daemon=True)
        thread.start()
        stack.callback(thread.join, 5)
        stack.callback(self._stop.set)

    def _supervise(self, broker: MosquittoSupervisor, *, stop: threading.Event) -> None:
        """Keep the broker alive, and up.json true about it."""
        known = broker.pid
        watcher = threading.Thread(
            target=self.loops.run, args=(broker.supervise,), kwargs={"stop": stop}, name="broker", daemon=True
        )
        watcher.start()
        while not stop.wait(0.2):
            if (pid := broker.pid) and pid != known:
                known = pid
                self._announce()
        watcher.join(5)

    def _announce(self) -> None:
        """Write up.json whole or not at all."""
        ready = {
            "pid": os.getpid(),
            "http": self.web.url,
            "mqtt": self.mqtt_url,
            "broker_pid": self.broker.pid if self.broker else None,
        }
        if self.identities:
            ready |= {"mqtts": self.identities.mqtts, "enroll": self.identities.enroll}
        atomic_file.write(self.folder / READY, json.dumps(ready) + "\n", durable=False)


def _identity_secret(folder: Path) -> str:
    """The key of anonymous events' identities, which goes with the data directory: a restart must not count again."""
    file = folder / "identity-secret"
    if not file.exists():
        atomic_file.write(file, f"{secrets.token_hex(32)}\n", mode=0o600)
    return file.read_text(encoding="ascii").strip()


def _session_name(folder: Path) -> str:
    """The collector's name at the broker, which goes with the data directory: two boxes may share a broker."""
    file = folder / "session"
    if not file.exists():
        atomic_file.write(file, f"milepost-collector-{secrets.token_hex(4)}\n", mode=0o600)
    return file.read_text(encoding="ascii").strip()
