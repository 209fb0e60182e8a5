"""One truck of the fleet: what it samples, sends, reports and sends again, without a thread or a file of its own.

Live samples go out at once, one a message; what waited goes behind them in batches, one at a time. A sample is
acknowledged by a PUBACK with a success code and by nothing else.
"""

import time
from collections.abc import Iterable
from datetime import datetime
from logging import getLogger
from zlib import crc32

from pydantic import ValidationError

from agent.publishing.report_times import ReportTimes
from agent.sampling.since_last import GROUP, fitted, group
from agent.sensors.merge import merge
from contract import codec, machine_clock, timestamps, topics
from contract.codec import Json
from contract.control_messages import Report, Resend, Status
from contract.ranges import Ranges
from simulator import hardships
from simulator.fleet import mqtt5
from simulator.fleet.connection import TruckConnection
from simulator.fleet.ledger import FleetLedger
from simulator.sensor import SimulatedSensor
from simulator.vehicle import Vehicle

log = getLogger(__name__)

KEEPALIVE_S = 60
ACK_TIMEOUT_S = 60.0
_IN_FLIGHT = 20
_BATCH_ROWS, _BATCH_BYTES = 100, 96 * 1024
_MAX_RANGES = 1000
_REPORT_S = 900.0


class FleetTruck:
    """Belongs to the loop's thread. acked: what the ledger is to be told. latencies: seconds from sending to PUBACK."""

    def __init__(
        self,
        truck_id: str,
        seed: int,
        ledger: FleetLedger,
        state: tuple[int, str, int, str | None],
        *,
        hardships: bool = True,
    ) -> None:
        self.truck_id = truck_id
        self._hardships = hardships
        self.number, self.stream_id, self.highest, self.last_sampled_at = state
        self.connection: TruckConnection | None = None
        self.online = False
        self.has_power = self.has_network = True
        self.acked: list[tuple[int, int]] = []
        self.latencies: list[float] = []
        self.sent_at = 0.0
        self.refused = 0
        self._vehicle = Vehicle(truck_id, seed)
        self._sensor = SimulatedSensor(self._vehicle)
        self._ledger = ledger
        self._flying: dict[int, tuple[float, tuple[int, ...], bool]] = {}
        self._packet = 0
        self._backlog = True
        self._read_to = 0
        phase = crc32(truck_id.encode()) / 2**32  # or a fleet that came back together would report together for ever
        self._reports = ReportTimes(_REPORT_S * (0.9 + 0.2 * phase), time.monotonic)

    # -- sampling

    def sample(self, now: datetime) -> tuple[int, int, bytes] | None:
        """The next sample: truck number, seq and body; None while the gateway has no power.

        The number counts once the ledger has it. A gateway whose clock was lost says so (`estimated`), with the wrong
        time that it has.
        """
        trouble = hardships.restart(self._vehicle.key, now.timestamp()) if self._hardships else None
        self.has_power = trouble is None or now.timestamp() >= trouble.end
        if not self.has_power:
            return None
        reading = self._sensor.read(now)
        self.has_network = self._sensor.has_network or not self._hardships
        values, quality = merge([reading])
        self.highest += 1
        at, trusted = now, "gps" if "gps_location" not in quality else "ntp"
        if trouble:
            at, trusted = now + trouble.off, "estimated"
        head = {
            "schema_version": 1,
            "truck_id": self.truck_id,
            "stream_id": self.stream_id,
            "seq": self.highest,
            "sampled_at": timestamps.from_datetime(at),
            "time_quality": trusted,
        }
        document: dict[str, Json] = {**head, **values, "quality": quality}
        if reading.interval is not None:
            interval, left_out = fitted(reading.interval, document)
            document["quality"] = {**quality, **{f"{GROUP}.{name}": "not_available" for name in left_out}}
            document[GROUP] = group(interval, now)
        return self.number, self.highest, codec.dump(document).encode()

    def stored(self, seq: int, body: bytes) -> None:
        """The ledger has a sample: send it, or leave it to the backlog."""
        if self.online and len(self._flying) < _IN_FLIGHT:
            self._publish(topics.telemetry(self.truck_id), body, (seq,))
        else:
            self._backlog, self._read_to = True, min(self._read_to, seq - 1)

    # -- the connection's events

    def opening(self) -> bytes:
        """The first packet of a connection."""
        will = Status(state="lost", stream_id=self.stream_id).model_dump_json().encode()
        return mqtt5.connect(self.truck_id, keepalive=KEEPALIVE_S, will_topic=topics.status(self.truck_id), will=will)

    def connected(self) -> None:
        """The broker said yes: hear what it asks for, tell what there is, send what waits."""
        self.online, self._backlog, self._read_to = True, True, 0
        self._send(mqtt5.subscribe(topics.resend(self.truck_id), self._next_packet()))
        self.status("online")
        self.report()
        self.send_backlog()

    def lost(self) -> None:
        """The connection ended: what was not acknowledged waits again."""
        self.online, self._backlog, self._read_to = False, True, 0
        self._flying.clear()

    def received(self, packet: mqtt5.Packet) -> None:
        """Anything but the CONNACK."""
        if packet.kind == mqtt5.PUBACK:
            self._acknowledged(packet)
        elif packet.kind == mqtt5.PUBLISH:
            self._send(mqtt5.puback(packet.number))
            self._resend(packet.payload)
        elif packet.kind == mqtt5.SUBACK and packet.code >= mqtt5.FIRST_ERROR:
            log.error("subscription_refused truck_id=%s code=%d", self.truck_id, packet.code)

    def stuck(self, now: float) -> bool:
        """Whether the oldest message has waited too long for its PUBACK."""
        oldest = next(iter(self._flying.values()), None)
        return oldest is not None and now - oldest[0] > ACK_TIMEOUT_S

    def idle(self) -> bool:
        """Whether nothing is on its way and nothing waits."""
        return not self._flying and not self._backlog

    # -- what it says

    def report_where_due(self) -> bool:
        """Report if it is time to; whether it was."""
        if due := self.online and (self._reports.due() or self._has_drained()):
            self.report()
        return due

    def _has_drained(self) -> bool:
        """Whether the last report told of samples that waited, and none do now: nobody asks for what was told to wait,
        and the broker may have lost it."""
        travelling = any(seqs for _, seqs, _ in self._flying.values())
        return self._reports.told_pending and not self._backlog and not travelling

    def report(self, gone: Ranges | None = None) -> None:
        """What the ledger holds of this truck's stream (contract.control_messages.Report)."""
        done = Ranges.of_numbers(seq for _, seq in self.acked)
        pending = list(self._ledger.pending_ranges(self.number) - done)
        self._reports.told(pending=bool(pending))
        if len(pending) > _MAX_RANGES:  # claiming too much as pending only delays an ask
            pending = [*pending[: _MAX_RANGES - 1], (pending[_MAX_RANGES - 1][0], pending[-1][1])]
        self._say(
            Report(
                stream_id=self.stream_id,
                oldest_retained=1 if self.highest else None,
                highest_seq=self.highest,
                pending=pending,
                gone=list(gone or ()),
            )
        )

    def status(self, state: str) -> None:
        """The retained status (contract.control_messages.Status)."""
        message = Status.model_validate(
            {"state": state, "stream_id": self.stream_id, "highest_seq": self.highest, "at": _now()}
        )
        self._publish(topics.status(self.truck_id), message.model_dump_json(by_alias=True).encode(), (), retain=True)

    def send_backlog(self) -> None:
        """The next batch of what waits, where none is on its way."""
        if not self.online or not self._backlog or any(batch for _, _, batch in self._flying.values()):
            return
        flying = {seq for _, seqs, _ in self._flying.values() for seq in seqs}
        flying |= {seq for _, seq in self.acked}
        chosen: list[tuple[int, bytes]] = []
        size = 0
        rows = self._ledger.pending(self.number, self._read_to, _BATCH_ROWS + len(flying))
        for seq, body in rows:
            if seq in flying:
                continue
            if chosen and (size + len(body) > _BATCH_BYTES or len(chosen) == _BATCH_ROWS):
                break
            chosen.append((seq, body))
            size += len(body) + 1
        if not chosen:
            self._backlog = False
            return
        self._read_to = chosen[-1][0]
        payload = b'{"records":[' + b",".join(body for _, body in chosen) + b"]}"
        self._publish(topics.batch(self.truck_id), payload, tuple(seq for seq, _ in chosen), batch=True)

    # -- inside

    def _acknowledged(self, packet: mqtt5.Packet) -> None:
        flight = self._flying.pop(packet.number, None)
        if flight is None:
            return
        sent_at, seqs, batch = flight
        if packet.code < mqtt5.FIRST_ERROR:
            self.acked += [(self.number, seq) for seq in seqs]
            if seqs and not batch:
                self.latencies.append(time.monotonic() - sent_at)
        else:
            self.refused += 1
            self._backlog, self._read_to = True, 0
            log.error("publish_refused truck_id=%s code=%d", self.truck_id, packet.code)
        if batch and packet.code < mqtt5.FIRST_ERROR:
            self.send_backlog()

    def _resend(self, payload: bytes) -> None:
        try:
            ask = Resend.model_validate_json(payload)
        except ValidationError as error:
            log.warning("resend_unreadable truck_id=%s reason=%r", self.truck_id, str(error))
            return
        asked = Ranges.of(ask.ranges)
        if ask.stream_id != self.stream_id:
            self._say(Report(stream_id=ask.stream_id, highest_seq=asked.last, gone=list(asked), closed=True))
            return
        held = asked & Ranges.of([(1, self.highest)]) if self.highest else Ranges()
        if held:
            self.acked = [(number, seq) for number, seq in self.acked if seq not in held]
            self._ledger.send_again(self.number, held)
            self._backlog, self._read_to = True, 0
            self.send_backlog()
        missing = asked - held
        if missing:
            self.report(missing)

    def _say(self, report: Report) -> None:
        self._publish(topics.report(self.truck_id), report.model_dump_json(by_alias=True).encode(), ())

    def _publish(
        self, topic: str, payload: bytes, seqs: Iterable[int], *, retain: bool = False, batch: bool = False
    ) -> None:
        if self.online:
            number = self._next_packet()
            self._flying[number] = (time.monotonic(), tuple(seqs), batch)
            self._send(mqtt5.publish(topic, payload, number, retain=retain))

    def _send(self, data: bytes) -> None:
        if self.connection is not None:
            self.connection.send(data)
            self.sent_at = time.monotonic()

    def _next_packet(self) -> int:
        while True:
            self._packet = self._packet % 65_535 + 1
            if self._packet not in self._flying:
                return self._packet


def _now() -> str:
    return machine_clock.now()
