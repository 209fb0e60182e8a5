"""The agent's loop: samples on ticks whatever the network does, and sends what the buffer holds whenever it can.

One thread runs `Agent.run`. Nothing here handles signals, prints, or takes a setting from anywhere but its arguments,
so many agents run in one process as well as one.
"""

import shutil
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from logging import getLogger

from agent.buffer import Buffer
from agent.buffer.never_stored import NeverStoredCounts
from agent.errors import BufferDamaged
from agent.json_state_file import JsonStateFile
from agent.publishing.hears import Hears
from agent.publishing.publisher import Publisher
from agent.publishing.status_reports import Configured
from agent.publishing.tally import Tally
from agent.runtime.commands.runner import CommandRunner
from agent.runtime.remote_config import Remote
from agent.runtime.sd_notify import Progress, Pulse
from agent.runtime.sensor_memory import SensorMemory
from agent.sampling.held_samples import HeldSamples
from agent.sampling.recorder import Recorder
from agent.sampling.sampler import Sampler, Ticks
from agent.sensors import Sensor
from agent.settings import LIVE, AgentSettings
from agent.timing.clock import Clock
from agent.transport import Transport
from contract import timestamps
from contract.errors import Misconfigured, Retryable

__all__ = ["Agent", "Tally"]

log = getLogger(__name__)

PRUNE_SECONDS = 3600.0
GOODBYE_SECONDS = 1.0
MEND_SECONDS = 60.0
SLACK_SECONDS = 30.0
SHOW_SECONDS = 1.0
_DRAIN_TURN = 0.5


class Agent:
    """One truck's agent.

    buffer and sensors are the caller's to close; the transport is started and closed here. `tally` may be read at any
    time from any thread. held: samples that were taken before there was a buffer, to go on with. show: gets the figures
    of agent.runtime.metrics_page about once a second. doctor: the program that a command asks to examine this truck.
    """

    def __init__(  # noqa: PLR0913 - what an agent is made of
        self,
        *,
        settings: AgentSettings,
        sensors: Sequence[Sensor],
        clock: Clock,
        buffer: Buffer,
        transport: Transport,
        held: HeldSamples | None = None,
        show: Callable[[dict[str, float]], None] | None = None,
        doctor: Sequence[str] | None = None,
    ) -> None:
        self._own, self._clock, self._buffer = settings, clock, buffer
        self._pulse: Pulse | None = None
        self._reread: Callable[[], AgentSettings] = lambda: settings
        self._hung_up = threading.Event()
        self._sampler = Sampler(settings.truck_id, sensors, clock, since_last=settings.since_last)
        held = HeldSamples(NeverStoredCounts(settings.lost_file)) if held is None else held  # an empty one is false
        self._recorder = Recorder(
            self._sampler, clock, buffer, patience=settings.patience, held=held, on_event=self._on_event
        )
        keepsake = JsonStateFile(settings.buffer.with_name(settings.buffer.name + ".config"))
        self._remote = Remote(settings, keepsake, clock.monotonic)
        acts = {"sample_now": self._sample_now, "report": self._say_all}
        self._commands = CommandRunner(
            *(settings, clock, lambda: self._recorder.vouched_now), acts=acts, doctor=doctor, wake=self.wake
        )
        self._uplink = Publisher(
            *(settings, buffer, transport, clock),
            hears=Hears(self._on_config, self._on_ack, self._recorder.witness_cloud, self._commands.receive),
            losses=held.losses,
            configured=self._configured(),
            answers=self._commands,
        )
        self._memory = SensorMemory(self._sampler, buffer, clock, self._note)
        self._due = clock.now()
        self._interval, self._ticks = settings.interval, Ticks(settings.truck_id, settings.interval)
        if self._remote.settings != settings:
            self._adopt()
        self._progress_at = clock.monotonic()
        self._show = show
        self._show_at = self._sampled_at = 0.0
        self._prune_at = self._forget_at = 0.0
        self._mended_at = float("-inf")

    @property
    def tally(self) -> Tally:
        """What this run has done so far."""
        return self._uplink.tally

    def wake(self) -> None:
        """Make `run` look at its stop event now; safe from any thread."""
        self._uplink.wake()

    def hang_up(self) -> None:
        """Read the settings again, soon; safe from any thread."""
        self._hung_up.set()
        self._uplink.wake()

    def run(
        self,
        stop: threading.Event,
        *,
        drain: float = 5.0,
        wait_for_network: bool = False,
        pulse: Pulse | None = None,
        reread: Callable[[], AgentSettings] | None = None,
    ) -> Tally:
        """Sample and send until `stop` is set (noticed within 5 s, at once with `wake`).

        Args:
            stop: ends it.
            drain: seconds that may then still be spent on sending what waits; the rest stays in the buffer. Without a
                connection there is little to gain from them, so they are skipped unless `wait_for_network`.
            wait_for_network: see `drain`.
            pulse: who is told how it goes.
            reread: gives the settings anew after `hang_up`.

        Returns:
            What was done.
        """
        self._pulse, self._reread = pulse, reread or self._reread
        self._due = self._ticks.after(self._clock.now())
        self._uplink.start()
        truck_id = self._own.truck_id
        log.info("agent_started truck_id=%s stream_id=%s", truck_id, self._buffer.stream_id)
        now = timestamps.from_datetime(self._clock.now())
        begun = {"started_at": now, "stopped_at": "", "connection": "connecting", "connection_at": now, "disputes": ""}
        self._note(begun)
        try:
            while not stop.is_set():
                try:
                    self._turn()
                except BufferDamaged as error:
                    self._mend(error, stop)
            if self._pulse:
                self._pulse.stopping()
            self._recorder.end()
            self._count()
            self._memory.keep(now=True)
            self._remote.close()
            self._uplink.send_waiting_now()
            try:
                self._drain(drain, wait_for_network)
                self._uplink.say_goodbye(GOODBYE_SECONDS)
            except BufferDamaged as error:
                log.error("buffer_damaged left_to=next_start reason=%r", str(error))
        finally:
            self._recorder.end()  # a fault of ours ends the loop as well, and then too what is held is counted
            self._uplink.close()
        with suppress(Retryable, BufferDamaged):
            self.tally.pending = self._buffer.counts().pending
            self._note({"stopped_at": timestamps.from_datetime(self._clock.now()), "connection": "closed"})
        log.info("agent_stopped truck_id=%s sampled=%d sent=%d", truck_id, self.tally.sampled, self.tally.sent)
        return self.tally

    def _turn(self) -> None:
        self._uplink.turn(self._until_due())
        self._sample_when_due()
        if self._uplink.connected and self._recorder.wants_cloud_time:
            self._uplink.ask_time()
        self._uplink.release(self._recorder.date_waiting(connected=self._uplink.connected))
        self._forget_old_positions()
        self._prune_when_due()
        if self._remote.tick(connected=self._uplink.connected):
            self._adopt()
            self._uplink.announce(self._configured())
        if self._hung_up.is_set():
            self._hung_up.clear()
            self._read_again()
        if self._commands.tick():
            self._uplink.report()
        self._beat()
        if self._show and self._clock.monotonic() >= self._show_at:
            self._show_at = self._clock.monotonic() + SHOW_SECONDS
            with suppress(Retryable):
                self._show(self._figures())

    def _figures(self) -> dict[str, float]:
        counts, tally, uplink = self._buffer.counts(), self.tally, self._uplink
        figures = {
            "samples_total": tally.sampled,
            "samples_sent_total": tally.sent,
            "samples_refused_total": tally.refused,
            "samples_never_stored_total": self._recorder.never_stored,
            "samples_held": self._recorder.held,
            "samples_pending": counts.pending,
            "samples_retained": counts.sent,
            "samples_waiting": counts.waiting,
            "last_sample_seconds": self._sampled_at,
            "connected": uplink.connected,
            "connections_total": tally.connections,
            "messages_total": tally.messages,
            "last_refusal_code": uplink.last_refusal.code,
            "last_refusal_seconds": uplink.last_refusal.at,
            "clock_trusted": self._recorder.time is not None,
            "disk_free_bytes": shutil.disk_usage(self._own.buffer.parent).free,
        }
        return {f"milepost_agent_{name}": float(value) for name, value in figures.items()}

    def _beat(self) -> None:
        if self._pulse:
            patience = 2 * self._interval + SLACK_SECONDS
            self._pulse.beat(Progress(self._progress_at, patience, self._line()))

    def _line(self) -> str:
        """How it goes, in a line."""
        held, tally = self._recorder.held, self.tally
        disk = f", {held} in memory: the disk takes none" if held else ""
        network = "connected" if self._uplink.connected else "no connection"
        return f"{network}, {tally.sampled} sampled, {tally.sent} sent since the start{disk}"

    def _on_config(self, payload: bytes) -> None:
        if self._remote.offer(payload):
            self._adopt()
        self._uplink.announce(self._configured())

    def _sample_now(self) -> dict[str, int]:
        """By command: one sample between two ticks, which stay where they are."""
        stored = self._recorder.tick()
        self._count()
        self._uplink.send_waiting_now()
        return {"seq": stored[-1].seq} if stored else {"held_in_memory": self._recorder.held}

    def _say_all(self) -> dict[str, int]:
        """By command: the status now; the report comes with the answer."""
        self._uplink.announce(self._configured())
        return {"highest_seq": self._buffer.highest_seq, "pending": self._buffer.counts().pending}

    def _on_event(self) -> None:
        self._uplink.send_waiting_now()

    def _on_ack(self, token: int) -> None:
        if self._remote.on_trial and self._remote.acknowledged(token):
            self._uplink.announce(self._configured())

    def _configured(self) -> Configured:
        configured = Configured(self._remote.version, self._remote.problem)
        version = "" if configured.version is None else str(configured.version)
        self._note({"config_version": version, "config_problem": configured.problem or ""})
        return configured

    def _adopt(self) -> None:
        """The settings in force are others: all that can change while it runs."""
        settings = self._remote.settings
        if settings.interval != self._interval:
            self._interval, self._ticks = settings.interval, Ticks(settings.truck_id, settings.interval)
            self._due = self._ticks.after(self._clock.now())
        self._sampler.since_last = settings.since_last
        self._uplink.configure(settings)

    def _read_again(self) -> None:
        """SIGHUP: what may change while it runs changes, the rest is named. A faulty file changes nothing."""
        try:
            fresh = self._reread()
        except Misconfigured as error:
            log.error("settings_not_read reason=%r", str(error))
            return
        changed = {key for key in vars(fresh) if getattr(fresh, key) != getattr(self._own, key)}
        if waiting := sorted(changed - LIVE):
            log.warning("settings_need_a_restart keys=%s", ",".join(waiting))
        self._own = replace(self._own, **{key: getattr(fresh, key) for key in changed & LIVE})
        self._remote.reread(self._own)
        self._adopt()
        log.info("settings_read changed=%s", ",".join(sorted(changed & LIVE)) or "none")

    def _note(self, notes: dict[str, str]) -> bool:
        try:
            self._buffer.note(notes)
        except Retryable as error:
            log.error("buffer_fault reason=%r", str(error))
            return False
        return True

    def _mend(self, error: BufferDamaged, stop: threading.Event) -> None:
        """Repair the buffer, and hold samples in memory until that succeeds. A file that is damaged again at once lies
        on a disk that cannot be written to: it is tried again after a minute."""
        log.error("buffer_damaged reason=%r", str(error))
        at = self._mended_at + MEND_SECONDS
        while not stop.is_set():
            if self._clock.monotonic() >= at:
                self._mended_at = self._clock.monotonic()
                at = self._mended_at + MEND_SECONDS
                try:
                    self._buffer.repair()
                except Retryable as refused:
                    log.error("buffer_not_repaired held_in_memory=yes reason=%r", str(refused))
                else:
                    self._recorder.recount_waiting()
                    self._uplink.restart()
                    return
            self._uplink.sleep(min(self._until_due(), at - self._clock.monotonic()))
            if self._until_due() <= 0:
                self._recorder.hold()
                self._progress_at = self._clock.monotonic()
                self._due = self._ticks.after(self._clock.now())
            self._beat()

    def _until_due(self) -> float:
        """Wall seconds to the next tick. After the clock was set back it is a new one, not the old time's return."""
        now = self._clock.now()
        if (self._due - now).total_seconds() > self._interval:
            self._due = self._ticks.after(now)
        return self._clock.seconds_until(self._due)

    def _sample_when_due(self) -> None:
        if self._until_due() > 0:
            return
        stored = self._recorder.tick()
        self._sampled_at = self._clock.now().timestamp()
        # Samples in memory while the disk refuses are progress too: a restart would only lose them.
        if stored or self._recorder.held:
            self._progress_at = self._clock.monotonic()
        if stored and self._remote.on_trial:
            self._remote.ran(self._uplink.last_token)
            self._uplink.report()
        self._count()
        self._memory.keep()
        if (disputes := self._sampler.disputes.news(self._clock.monotonic())) is not None:
            self._note({"disputes": disputes})
        self._due = self._ticks.after(self._clock.now())

    def _count(self) -> None:
        self.tally.sampled, self.tally.not_stored = self._recorder.stored, self._recorder.never_stored

    def _prune_when_due(self) -> None:
        now = self._clock.monotonic()
        if now < self._prune_at:
            return
        self._prune_at = now + PRUNE_SECONDS
        try:
            self._buffer.prune()
        except Retryable as error:
            log.error("prune_failed reason=%r", str(error))

    def _forget_old_positions(self) -> None:
        """Once somebody vouches for the time, and by that: by a wrong clock everything may seem old. Then hourly."""
        days, now = self._own.position_days, self._clock.monotonic()
        if days is None or now < self._forget_at or (time := self._recorder.time) is None:
            return
        self._forget_at = now + PRUNE_SECONDS
        try:
            count = self._buffer.forget_positions(time - timedelta(days=days))
        except (Retryable, OSError) as error:
            log.error("positions_not_forgotten reason=%r", str(error))
            return
        if count:
            log.info("positions_forgotten samples=%d older_than_days=%g", count, days)

    def _drain(self, seconds: float, wait_for_network: bool) -> None:
        deadline = self._clock.monotonic() + seconds
        while (left := deadline - self._clock.monotonic()) > 0 and not self._uplink.idle():
            if not self._uplink.connected and not wait_for_network:
                return
            self._uplink.turn(min(left, _DRAIN_TURN))
