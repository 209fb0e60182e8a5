"""`GET /metrics` for Prometheus (docs/operations.md lists the names). No label names a truck, a customer or an item."""

import threading
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector import queries
from console.access import ConsoleAccess, refused
from console.fleet_view import FleetView, OpenReader
from contract import machine_clock, timestamps
from contract.click_schema import EVENT_TYPES
from contract.codec import Json
from contract.errors import Retryable
from contract.telemetry import LEAVES

_SECONDS = 15.0
_DOORS = ("mqtt", "http", "file", "kinesis", "kafka", "stream")
_STATES = ("moving", "idle", "stopped", "silent")
_SEVERITIES = ("info", "warning", "critical")


class Metrics:
    """The figures of one machine. Those of the store are read every fifteen seconds at most, however many ask.

    Args:
        open_reader: gives the store for reading, None within where there is none yet.
        view: the fleet now.
        alerts: the kept alerts that go on.
        health: figures of the running service.
        folder: the data directory, whose files are measured.
        grace_ms: how long a hole may be late.
    """

    def __init__(  # noqa: PLR0913 - what it measures
        self,
        open_reader: OpenReader,
        view: FleetView,
        *,
        alerts: Callable[[Any], Iterable[Mapping[str, Any]]],
        health: Callable[[], Mapping[str, Json]],
        folder: Path,
        grace_ms: int,
    ) -> None:
        self._open_reader, self._view, self._alerts, self._health = open_reader, view, alerts, health
        self._folder, self._grace_ms = folder, grace_ms
        self._started = machine_clock.now_ms() / 1000
        self._guard = threading.Lock()
        self._stored: tuple[float, list[Metric]] = (0.0, [])
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """For prometheus_client: the service's figures of now, the store's of the last few seconds.

        Returns:
            The metrics, in no order.
        """
        yield from self._of_service(self._health())
        with self._guard:
            due, found = self._stored
            if time.monotonic() >= due:
                with self._open_reader() as reader:
                    found = list(self._of_store(reader))
                self._stored = time.monotonic() + _SECONDS, found
        yield from found

    def text(self) -> bytes:
        """The exposition.

        Returns:
            Prometheus' text format.

        Raises:
            Retryable: the store could not be read in time.
        """
        return generate_latest(self._registry)

    def _of_service(self, health: Mapping[str, Any]) -> Iterator[Metric]:
        yield _gauge("write_queue_records", "Records that wait to be written", health.get("queued", 0))
        commit = health.get("last_commit_ms", 0) / 1000
        yield _gauge("last_commit_timestamp_seconds", "When records were last committed", commit)
        yield _gauge("started_timestamp_seconds", "When this process was started", self._started)
        yield _gauge("failing", "Whether a part of the service does not do its work", int("failing" in health))
        broker, loops = health.get("broker", {}), health.get("loops", {})
        yield _gauge("broker_up", "Whether the MQTT broker runs", broker.get("up", 0))
        yield _gauge("broker_full", "Whether the MQTT broker has no descriptor left", broker.get("full", 0))
        yield _counter("broker_restarts", "How often the broker was started again", broker.get("restarts", 0))
        yield _counter("loop_failures", "Failures of the service's own loops", loops.get("failures", 0))
        descriptors = health.get("descriptors", {})
        yield _gauge("descriptors_open", "Open file descriptors", descriptors.get("open", 0))
        yield _gauge("descriptors_limit", "File descriptors that may be open", descriptors.get("limit", 0))
        refused_requests = health.get("requests", {}).get("refused", 0)
        yield _counter("requests_refused", "HTTP requests from elsewhere that were refused", refused_requests)
        connections = GaugeMetricFamily("milepost_connections", "Connections of HTTP doors", labels=("door", "state"))
        for door in ("http", "enrollment"):
            for state, number in health.get(door, {}).items():
                connections.add_metric((door, state), number)
        yield connections
        yield from _uplink(health.get("uplink", {}))
        if kafka := health.get("kafka"):
            yield from self._of_stream(kafka)
        turned_away = CounterMetricFamily("milepost_clicks_refused", "Requests with clicks refused", labels=("why",))
        for why, number in health.get("clicks", {}).items():
            turned_away.add_metric((why,), number)
        yield turned_away
        yield from _expiry(health.get("expiry", {}))
        size = GaugeMetricFamily("milepost_store_bytes", "Size of the stores' files", labels=("file",))
        for file in sorted(self._folder.glob("*.db*")):
            if file.suffix in (".db", ".db-wal"):
                size.add_metric((file.name,), file.stat().st_size)
        yield size

    def _of_stream(self, kafka: Mapping[str, int]) -> Iterator[Metric]:
        waiting = GaugeMetricFamily(
            "milepost_stream_lag_records", "Records in Kafka that no worker has finished", labels=("topic",)
        )
        for name, count in kafka.items():
            if name.startswith("lag_"):
                waiting.add_metric((name.removeprefix("lag_"),), count)
        yield waiting
        restarts = kafka.get("worker_restarts", 0)
        yield _counter("stream_worker_restarts", "How often this machine's worker was started again", restarts)

    def _of_store(self, reader: Any) -> Iterator[Metric]:
        found = queries.audit(reader, now_ms=machine_clock.now_ms(), grace_ms=self._grace_ms)
        rows = found["trucks"]
        yield _counter("samples_received", "Numbered samples received", sum(row["received"] for row in rows))
        yield _gauge("samples_missing", "Samples that are missing now", sum(_count(row["holes"]) for row in rows))
        yield _gauge("samples_late", "Missing samples that are only late", sum(_count(row["late"]) for row in rows))
        yield _counter("samples_lost", "Samples that are lost for certain", found["lost"])
        yield self._refusals(reader)
        yield self._clicks(reader)
        rows = self._view.since("").rows
        states = Tally(row["state"] for row in rows)
        trucks = GaugeMetricFamily("milepost_trucks", "Trucks by what they do", labels=("state",))
        for state in _STATES:
            trucks.add_metric((state,), states[state])
        yield trucks
        newest = max((row["received_at"] for row in rows), default=None)
        if newest is not None:
            yield _gauge(
                "newest_sample_timestamp_seconds", "When a truck was last heard", timestamps.to_ms(newest) / 1000
            )
        severities = Tally(alert["severity"] for alert in self._alerts(reader))
        alerts = GaugeMetricFamily("milepost_alerts", "Alerts that go on", labels=("severity",))
        for severity in _SEVERITIES:
            alerts.add_metric((severity,), severities[severity])
        yield alerts
        waiting = reader.outbox_size() if reader else 0
        yield _gauge("alert_messages_waiting", "Messages that a receiver has not taken yet", waiting)

    def _refusals(self, reader: Any) -> Metric:
        tally: Tally[tuple[str, str]] = Tally()
        for letter in queries.dead_letters(reader):
            door = letter["source"].partition(":")[0]
            field = letter["field"] or "document"
            known = field if field in LEAVES or field in _FIELDS else "other"
            tally[door if door in _DOORS else "other", known] += 1
        family = GaugeMetricFamily("milepost_dead_letters", "Refused records that are kept", labels=("door", "field"))
        for labels, count in sorted(tally.items()):
            family.add_metric(labels, count)
        return family

    def _clicks(self, reader: Any) -> Metric:
        tally: Tally[str] = Tally()
        for row in queries.clicks(reader, "item"):
            tally[row["event_type"] if row["event_type"] in EVENT_TYPES else "custom"] += row["count"]
        family = CounterMetricFamily("milepost_clicks", "Events counted", labels=("event_type",))
        for event_type, count in sorted(tally.items()):
            family.add_metric((event_type,), count)
        return family


def _uplink(figures: Mapping[str, int]) -> Iterator[Metric]:
    """Of the collector's two sessions at the broker; without samples where another process hears the trucks."""
    connected = GaugeMetricFamily(
        "milepost_uplink_connected", "Whether a session with the broker stands", labels=("session",)
    )
    waiting = GaugeMetricFamily(
        "milepost_uplink_unacknowledged_messages", "Messages handed out and not committed yet", labels=("session",)
    )
    dropped = GaugeMetricFamily(
        "milepost_broker_dropped_messages", "Messages that the broker acknowledged and dropped since its start"
    )
    for session in ("live", "backlog") if figures else ():
        connected.add_metric((session,), figures[f"{session}_connected"])
        waiting.add_metric((session,), figures[f"{session}_unacknowledged"])
    if figures:
        dropped.add_metric((), figures["broker_dropped"])
    yield from (connected, waiting, dropped)


def _expiry(figures: Mapping[str, float]) -> Iterator[Metric]:
    """Of one machine's own CA, its server certificate and its trucks; without samples where it has no identities."""
    days = GaugeMetricFamily("milepost_certificate_days_left", "Days until it ends", labels=("of",))
    trucks = GaugeMetricFamily("milepost_truck_certificates", "Trucks by their newest certificate", labels=("state",))
    if figures:
        for of in ("ca", "server"):
            days.add_metric((of,), figures[f"{of}_days_left"])
        for state in ("in_use", "ended", "ending", "cloned"):
            trucks.add_metric((state,), figures["trucks" if state == "in_use" else f"trucks_{state}"])
    yield from (days, trucks)


_FIELDS = ("document", "truck_id", "stream_id", "seq", "sampled_at", "event_id", "event_type", "timestamp")


def routes(metrics: Metrics, access: ConsoleAccess) -> list[Route]:
    """What an application mounts.

    Args:
        metrics: what is told.
        access: who may read it.

    Returns:
        The route of /metrics.
    """

    async def answer(_: Request) -> Response:
        try:
            text = await run_in_threadpool(metrics.text)
        except Retryable as error:
            return refused(503, str(error))
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    return [Route("/metrics", access.viewer(answer), methods=["GET"])]


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"milepost_{name}", meaning, value=value)


def _counter(name: str, meaning: str, value: float) -> Metric:
    return CounterMetricFamily(f"milepost_{name}", meaning, value=value)


def _count(ranges: list[list[int]]) -> int:
    return sum(last - first + 1 for first, last in ranges)
