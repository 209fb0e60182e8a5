"""Everything that goes over the line: the two lanes within the limits, reports and status, and what comes back.

The transport's thread only puts events into a queue, which is what `turn` sleeps on; all else happens in the one
thread that calls it, which alone uses the buffer.
"""

from collections.abc import Callable
from itertools import count
from logging import getLogger
from typing import Any, Literal, TypeVar

from agent.buffer import Buffer
from agent.buffer.never_stored import NeverStoredCounts
from agent.json_state_file import JsonStateFile
from agent.publishing import status_reports
from agent.publishing.batch_window import BatchWindow
from agent.publishing.broker_refusals import BrokerRefusals, LastRefusal
from agent.publishing.command_channel import CommandChannel
from agent.publishing.data_budget import DataBudget
from agent.publishing.delivery_marks import DeliveryMarks
from agent.publishing.event_queue import EventQueue
from agent.publishing.hears import Answers, Hears
from agent.publishing.rate_limiter import RateLimiter, with_lanes
from agent.publishing.report_times import ReportTimes
from agent.publishing.send_queue import SendQueue
from agent.publishing.status_reports import Configured
from agent.publishing.tally import Tally
from agent.publishing.topics import routes
from agent.settings import AgentSettings
from agent.timing.clock import Clock
from agent.timing.cloud_time import CloudTime
from agent.transport import (
    Connected,
    Delivered,
    Heard,
    Lost,
    Message,
    NotConnected,
    NotHeard,
    Received,
    Refused,
    Transport,
)
from contract import timestamps
from contract.codec import parse
from contract.errors import Rejected, Retryable
from contract.ranges import MAX_RESEND_RANGES, Ranges
from contract.wire_documents import understood

log = getLogger(__name__)

_LONGEST_SLEEP = 5.0
_SHORTEST_SLEEP = 0.02
_EVENTS_AT_ONCE = 500

Result = TypeVar("Result")


class Publisher:
    """One truck's line to the cloud. `start`, then `turn` again and again, then `say_goodbye` and `close`.

    Args:
        settings: topics, rates and intervals.
        buffer: what is sent from, and marked in.
        transport: the line; started and closed here.
        clock: the truck's.
        hears: who is told of what comes.
        losses: what reports say of samples never stored.
        configured: what status says of the remote configuration at first.
        answers: what reports say of commands, which are listened to then.
    """

    def __init__(  # noqa: PLR0913 - what it is made of
        self,
        settings: AgentSettings,
        buffer: Buffer,
        transport: Transport,
        clock: Clock,
        *,
        hears: Hears | None = None,
        losses: NeverStoredCounts | None = None,
        configured: Configured | None = None,
        answers: Answers | None = None,
    ) -> None:
        self._buffer, self._transport, self._clock = buffer, transport, clock
        self._hears = hears or Hears()
        self._routes = routes(settings.truck_id, settings.basic_ingest)
        limits = transport.limits
        self._gathering = BatchWindow(settings.send_interval, clock.monotonic)
        self._lanes = SendQueue(buffer, limits, clock.monotonic, self._gathering)
        self._pace = RateLimiter(limits.publishes_per_second, limits.bytes_per_second, limits.payload, clock.monotonic)
        keepsake = JsonStateFile(settings.buffer.with_name(settings.buffer.name + ".budget"))
        self._budget = DataBudget(settings.daily_budget, settings.interval, keepsake, clock.now)
        self._events = EventQueue()
        self._tokens = count(1)
        self._control: dict[int, str] = {}  # token → topic, of what is no sample
        self._marks = DeliveryMarks(buffer, clock.monotonic, self._now)
        self._refusals = BrokerRefusals(clock, lambda notes: self._guarded(lambda: buffer.note(notes)))
        self._blocked = _LONGEST_SLEEP
        self._reports = ReportTimes(settings.report_interval, clock.monotonic)
        self._handlers: dict[type, Callable[[Any], None]] = {
            Connected: self._on_connected,
            NotConnected: self._on_not_connected,
            Lost: self._on_lost,
            Delivered: self._on_delivered,
            Refused: self._on_refused,
            Received: self._on_received,
            Heard: lambda event: self._commands.granted(event.topic),
            NotHeard: lambda event: (
                self._commands if event.topic == self._routes.command else self._cloud_time
            ).refuse(event.reason),
        }
        self.connected = False
        self.tally = Tally()
        self.last_token = 0
        self._configured = configured or Configured()
        self._losses = losses or NeverStoredCounts(None)
        self._cloud_time, self._hears_time = CloudTime(lambda: clock.moment().uptime), False
        self._commands = CommandChannel(self._routes.command, transport, answers, clock.monotonic)

    @property
    def last_refusal(self) -> LastRefusal:
        """What the broker refused last."""
        return self._refusals.last

    def configure(self, settings: AgentSettings) -> None:
        """What may change while it runs: lanes, budget, reports."""
        limits = with_lanes(self._transport.limits, settings.lanes)
        self._lanes.set_limits(limits)
        self._pace = RateLimiter(
            limits.publishes_per_second, limits.bytes_per_second, limits.payload, self._clock.monotonic
        )
        self._budget.configure(settings.daily_budget, settings.interval)
        self._gathering.set_seconds(settings.send_interval)
        self._reports.set_seconds(settings.report_interval)

    def start(self) -> None:
        """Begin to connect; returns at once."""
        will = Message(0, self._routes.status, status_reports.will(self._buffer.stream_id), retain=True)
        listen = (self._routes.resend, self._routes.config)
        self._transport.start(self._events.put, will=will, subscribe=listen)

    def wake(self) -> None:
        """Make a sleeping `turn` return; safe from any thread."""
        self._events.put(None)

    def sleep(self, longest: float) -> None:
        """Wait up to `longest` seconds, or until something happens, which is left for the next `turn`."""
        self._events.sleep(min(longest, _LONGEST_SLEEP))

    def turn(self, longest: float) -> None:
        """Send what may go; then sleep until something happens, `longest` seconds at most, and see to all of it."""
        self._send()
        event = self._events.next(min(longest, self._patience()))
        for _ in range(_EVENTS_AT_ONCE):
            if event is not None:
                self._handlers[type(event)](event)
            if (event := self._events.next(0)) is None:
                break
        if self._marks.flush_due(travelling=bool(self._lanes.in_flight)):
            self._marked()
        if self.connected and (self._reports.due() or self._has_drained()):
            self._report()

    def ask_time(self) -> None:
        """Ask the cloud what time it is, if there is a connection and an ask is due (see CloudTime)."""
        if not self.connected or (ask := self._cloud_time.ask()) is None:
            return
        if not self._hears_time:
            self._hears_time = True
            self._transport.listen(self._routes.time)
        self._budget.spend(self._routes.time_ask, len(ask))
        self._transport.publish(Message(self._token(), self._routes.time_ask, ask, qos=0))

    def send_waiting_now(self) -> None:
        """Live samples that wait for others go now."""
        self._gathering.open_now()

    def report(self) -> None:
        """Send a report now, if there is a connection."""
        if self.connected:
            self._report()

    def announce(self, configured: Configured) -> None:
        """Say in the status what became of the remote configuration, now or on connecting.

        A status names the highest number but not what is pending, so what waits goes too, lest it be missed.
        """
        self._configured = configured
        if self.connected:
            self._gathering.open_now()
            self._status("online")

    def release(self, released: Ranges) -> None:
        """Samples that waited for a time may be sent from now on."""
        self._lanes.resend(released)

    def restart(self) -> None:
        """The buffer has been repaired: what was pending may not be, and the stream may be another one."""
        self._marks.forget()
        self._lanes.restart()
        if self.connected:
            self._report()

    def idle(self) -> bool:
        """Whether nothing travels, and nothing waits that could go now."""
        return self._lanes.idle() or (not self._lanes.in_flight and self._budget.open() != "all")

    def say_goodbye(self, seconds: float) -> None:
        """The last report and the status `offline`, if there is a connection, and up to `seconds` for their arrival."""
        if not self.connected:
            return
        self._report()
        self._status("offline")
        deadline = self._clock.monotonic() + seconds
        while self.connected and self._control and (left := deadline - self._clock.monotonic()) > 0:
            event = self._events.next(left)
            if event is not None:
                self._handlers[type(event)](event)
        self._mark()

    def close(self) -> None:
        """End the connection."""
        self._transport.close()
        self._budget.close()

    def _patience(self) -> float:
        if not self.connected:
            return _LONGEST_SLEEP
        longest = _LONGEST_SLEEP
        if self._marks:
            longest = min(longest, self._marks.wait())
        return max(_SHORTEST_SLEEP, min(longest, self._lanes.wait(), self._blocked))

    def _send(self) -> None:
        """Hand over whatever may go now, and remember for how long the limits hold up the rest."""
        self._blocked = _LONGEST_SLEEP
        self._guarded(self._hand_over)

    def _hand_over(self) -> None:
        while self.connected:
            wait, open_lanes = self._pace.wait(), self._budget.open()
            if wait > 0 or open_lanes == "none":
                self._blocked = wait or _LONGEST_SLEEP
                return
            parcel = self._lanes.next(backlog=open_lanes == "all")
            if parcel is None:
                return
            token, size = self._token(), len(parcel.payload)
            topic = self._routes.batch if parcel.batch else self._routes.telemetry
            self._lanes.sent(token, parcel)
            self._pace.spend(size)
            self._budget.spend(topic, size, live=0 if parcel.backlog else len(parcel.seqs))
            self._transport.publish(Message(token, topic, parcel.payload))
            self.tally.messages += 1

    def _mark(self) -> None:
        if self._marks.flush():
            self._marked()

    def _marked(self) -> None:
        self.tally.sent = self._marks.marked
        self._lanes.marked()

    def _on_connected(self, event: Connected) -> None:
        self._mark()
        self.connected = True
        self.tally.connections += 1
        self._lanes.connected(event.payload)
        self._guarded(lambda: self._buffer.note({"connection": "connected", "connection_at": self._now()}))
        self._status("online")
        self._report()
        self._commands.connected()

    def _on_not_connected(self, event: NotConnected) -> None:
        note = {"connection": f"cannot connect: {event.reason}", "connection_at": self._now()}
        self._guarded(lambda: self._buffer.note(note))

    def _on_lost(self, event: Lost) -> None:
        self.connected = self._hears_time = False
        self._cloud_time.lost()
        self._commands.lost()
        self._control.clear()
        self._lanes.lost()
        note = {"connection": f"lost: {event.reason}", "connection_at": self._now()}
        self._guarded(lambda: self._buffer.note(note))

    def _on_delivered(self, event: Delivered) -> None:
        seqs = self._lanes.delivered(event.tokens)
        self._marks.add(seqs)
        self._hears.ack(max(event.tokens))
        self._commands.delivered(event.tokens)
        if self._control:
            for token in event.tokens:
                self._control.pop(token, None)
        if seqs:
            self._refusals.accepted((self._routes.telemetry, self._routes.batch))

    def _on_refused(self, event: Refused) -> None:
        seqs = self._lanes.refused(event.token)
        batch = self._routes.batch if len(seqs) > 1 else self._routes.telemetry
        topic = self._control.pop(event.token, batch)
        self._refusals.add(event, topic, seqs)
        self._commands.ended(event.token)
        self.tally.refused = self._refusals.count

    def _on_received(self, event: Received) -> None:
        self._budget.spend(event.topic, len(event.payload))
        if event.topic == self._routes.config:
            self._hears.config(event.payload)
        elif event.topic == self._routes.command:
            self._hears.command(event.payload, event.retained)
        elif event.topic == self._routes.time:
            instant = self._cloud_time.answer(event.payload, retained=event.retained)
            if instant is not None and self._hears.time(instant):
                self._cloud_time.believed(instant)
        else:
            self._on_resend(event)

    def _on_resend(self, event: Received) -> None:
        try:
            ask = understood("resend", parse(event.payload))
        except Rejected as error:
            log.warning("resend_ignored topic=%s reason=%r", event.topic, str(error)[:200])
            return
        stream_id, ranges = ask["stream_id"], ask["ranges"]
        if stream_id != self._buffer.stream_id:
            asked = Ranges.of(ranges)
            if unknown := self._guarded(lambda: status_reports.unknown(self._buffer, stream_id, asked)):
                self._publish(self._routes.report, unknown)
            return
        self._mark()
        if self._marks:
            return  # the disk takes no marks: the collector asks again
        asked = Ranges.of(ranges[:MAX_RESEND_RANGES])
        answer = self._guarded(lambda: self._buffer.resend(asked))
        if answer is None:
            return
        again, gone = answer
        self._lanes.resend(again)
        self.tally.asked_again += again.count
        log.info("resend asked=%d again=%d gone=%d", asked.count, again.count, gone.count)
        if gone:
            self._report(gone)

    def _has_drained(self) -> bool:
        """Whether the last report told of samples that waited, and none do now: what it told is not asked for.

        What the broker refused, or has no time yet, goes on waiting, however idle the lanes are.
        """
        if not self._reports.told_pending or not self._lanes.idle() or self._marks:
            return False
        counts = self._guarded(self._buffer.counts)
        return counts is not None and not counts.pending

    def _report(self, gone: Ranges | None = None) -> None:
        counts = self._guarded(self._buffer.counts)
        self._reports.told(pending=bool(counts and counts.pending))
        answers = self._commands.waiting()
        own = self._guarded(lambda: status_reports.report(self._buffer, gone, self._losses.runs, answers))
        self._commands.sent(self._publish(self._routes.report, own) if own else None, answers)
        for payload in self._guarded(lambda: status_reports.closed(self._buffer)) or []:
            self._publish(self._routes.report, payload)

    def _status(self, state: Literal["online", "offline"]) -> None:
        payload = self._guarded(lambda: status_reports.status(state, self._now(), self._buffer, self._configured))
        if payload:
            self._publish(self._routes.status, payload, retain=True)

    def _publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        token = self._token()
        self._control[token] = topic
        self._budget.spend(topic, len(payload))
        self._transport.publish(Message(token, topic, payload, retain))
        return token

    def _token(self) -> int:
        self.last_token = next(self._tokens)
        return self.last_token

    def _now(self) -> str:
        return timestamps.from_datetime(self._clock.now())

    def _guarded(self, act: Callable[[], Result]) -> Result | None:
        """The buffer's passing faults delay what they hit, and nothing else."""
        try:
            return act()
        except Retryable as error:
            log.error("buffer_fault reason=%r", str(error))
            return None
