"""From a tick to a stored sample that may be sent: dates it, keeps it, and settles the time of what had to wait.

Two promises. A sample is taken at every tick, whatever the disk does: while it refuses, samples are held in memory, in
order and bounded, and go to the disk when that takes them; what finally had no place is counted as never stored. And no
sample is sent before its time is known, or known to stay unknown (docs/architecture.md): one whose time is witnessed
goes at once; one of a boot that is dated later is repaired by that boot's own time line; one that nobody will ever date
is placed between its neighbours and sent as `estimated`.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from logging import getLogger
from typing import Protocol

from agent.buffer import Boot, Buffer, BufferRow, Dated, Draft
from agent.buffer.never_stored import NeverStoredCounts
from agent.errors import BufferDamaged
from agent.sampling.held_samples import HeldSample, HeldSamples
from agent.sampling.sampler import Taken
from agent.sampling.since_last import GROUP, group
from agent.timing.clock import Clock, Moment
from agent.timing.cloud_time import CloudInstant
from agent.timing.estimation import BootStretch, place
from agent.timing.trusted_time import EARLIEST, Anchor, Timekeeper, sane
from contract import timestamps
from contract.codec import Json
from contract.errors import Retryable
from contract.ranges import Ranges

log = getLogger(__name__)

PATIENCE_SECONDS = 600.0
"""So long a connected truck waits for a trusted time before it sends samples as `estimated`."""

_REMEMBER_EVERY = 3600.0
_CLOCK_SET = 60.0
"""Seconds by which a clock that nobody vouches for must leap to have been set by somebody."""


class SampleSource(Protocol):
    """Whatever takes samples: agent.sampling.sampler.Sampler."""

    def sample(self) -> Taken:
        """Take one sample now.

        Returns:
            It, not dated yet.
        """


class Recorder:
    """One truck's way from the sampler into the buffer. Damaged passes through, after which the buffer is repaired and
    `resume` called; no sample is lost by it. stored, never_stored: how many samples of this process.
    held: what is in memory because the disk refuses. on_event: called when a sample that tells of an event is
    stored."""

    def __init__(  # noqa: PLR0913 - what it is made of
        self,
        source: SampleSource,
        clock: Clock,
        buffer: Buffer,
        *,
        patience: float = PATIENCE_SECONDS,
        held: HeldSamples | None = None,
        on_event: Callable[[], None] = lambda: None,
    ) -> None:
        self._source, self._clock, self._buffer, self._patience = source, clock, buffer, patience
        self.held_samples = HeldSamples(NeverStoredCounts(None)) if held is None else held
        self._boot = clock.moment().boot
        self._remembered: Anchor | None = None
        self._estimate: Anchor | None = None
        self._clock_ran_at: float | None = None  # wall clock less uptime, at the last sample that was estimated
        self._keeper = self._timekeeper()
        self._kernel_doubted = False
        self._waiting = buffer.counts().waiting
        self._unsettled = bool(self._waiting)
        self._connected_for, self._looked, self._was_connected = 0.0, clock.monotonic(), False
        self.stored = 0
        self._on_event = on_event

    @property
    def held(self) -> int:
        """Samples in memory, for which the disk has had no place so far."""
        return len(self.held_samples)

    @property
    def never_stored(self) -> int:
        """Samples of this process that never found a place."""
        return self.held_samples.never_stored

    def tick(self) -> list[BufferRow]:
        """Take a sample now and store it, and before it whatever memory holds; what was stored."""
        taken = self._source.sample()
        self._witness(taken)
        self.held_samples.put(taken)
        return self.store()

    def hold(self) -> None:
        """Take a sample now and keep it in memory: the buffer is being repaired."""
        taken = self._source.sample()
        self.held_samples.put(taken)
        self.held_samples.refused("the buffer is damaged")

    def store(self) -> list[BufferRow]:
        """Store what memory holds, in order, as far as the disk takes it."""
        stored: list[BufferRow] = []
        try:
            while self.held_samples:
                stored.append(self._append(self.held_samples.first()))
                self.stored += 1
                if self.held_samples.stored().event:
                    self._on_event()
        except Retryable as error:
            self.held_samples.refused(str(error))
            return stored
        if len(stored) > 1:
            log.warning("disk_takes_samples_again stored=%d never_stored=%d", len(stored), self.never_stored)
            self._tell_never_stored()
        return stored

    def date_waiting(self, *, connected: bool) -> Ranges:
        """Date what waits and can be dated by now; which numbers may be sent from now on. Cheap when nothing waits."""
        now = self._clock.monotonic()
        if connected and self._was_connected:
            patient = self._patient
            self._connected_for += now - self._looked
            self._unsettled |= patient and not self._patient
        self._looked, self._was_connected = now, connected
        if not self._waiting or not self._unsettled:
            return Ranges()
        try:
            released = self._release_what_can_be()
            self._waiting = self._buffer.counts().waiting
        except Retryable as error:
            log.error("buffer_fault reason=%r", str(error))
            return Ranges()
        self._unsettled = False
        if released:
            log.info("time_settled samples=%d still_waiting=%d", released.count, self._waiting)
        return released

    @property
    def time(self) -> datetime | None:
        """What time it is, whatever the clock says; None while nobody vouches for it."""
        anchor, uptime = self._keeper.anchor, self._clock.moment().uptime
        return anchor.at(uptime) if anchor and anchor.covers(uptime) else None

    @property
    def vouched_now(self) -> datetime | None:
        """What time it is, where somebody vouches for it: who dates the samples, else the kernel."""
        return self.time or (self._clock.moment().wall if self._clock.quality() != "estimated" else None)

    @property
    def wants_cloud_time(self) -> bool:
        """Whether nobody better than the cloud vouches for the time."""
        anchor = self._keeper.anchor
        known = anchor is not None and anchor.quality != "cloud" and anchor.covers(self._clock.moment().uptime)
        return not known and (self._clock.quality() == "estimated" or self._kernel_doubted)

    def witness_cloud(self, instant: CloudInstant) -> bool:
        """The cloud says what time it is; whether that is believed."""
        before = self._keeper.anchor
        believed = self._keeper.witness(instant.utc, self._clock.moment().uptime, "cloud")
        self._note_anchor(before)
        return believed

    def recount_waiting(self) -> None:
        """The buffer has been repaired: more or less may wait in it than before."""
        self._waiting, self._unsettled, self._remembered = self._buffer.counts().waiting, True, None

    def end(self) -> None:
        """The process stops: what the disk does not take now was never stored."""
        try:
            self.store()
        except BufferDamaged as error:
            log.error("buffer_damaged reason=%r", str(error))
        self.held_samples.end()

    @property
    def _patient(self) -> bool:
        return self._connected_for < self._patience

    def _timekeeper(self) -> Timekeeper:
        boots = self._buffer.boots()
        mine = next((boot.anchor for boot in boots if boot.name == self._boot), None)
        others = [boot.anchor.utc for boot in boots if boot.name != self._boot and boot.anchor and boot.anchor.trusted]
        self._remembered = mine
        self._estimate = mine if mine and not mine.trusted else None
        return Timekeeper(mine, others[-1] if others else None)

    def _witness(self, taken: Taken) -> None:
        """Ask whoever may know the time: the satellites, else the kernel."""
        moment = taken.moment
        before = self._keeper.anchor
        believed = taken.fix is not None and self._keeper.witness(taken.fix, moment.uptime, "gps")
        if not believed and self._clock.quality() != "estimated":
            self._kernel_doubted = not self._keeper.witness(moment.wall, moment.uptime, "ntp")
        self._note_anchor(before)

    def _note_anchor(self, before: Anchor | None) -> None:
        """Somebody may have been believed: then what waits can be dated, and this boot's time line is remembered."""
        anchor = self._keeper.anchor
        if anchor is None or anchor is before:
            return
        self._unsettled, self._connected_for, self._estimate = True, 0.0, None
        old = self._remembered
        if (
            old is None
            or not old.trusted
            or anchor.uptime - old.uptime > _REMEMBER_EVERY
            or abs((anchor.utc - old.at(anchor.uptime)).total_seconds()) > 1
        ):
            self._remember(anchor)

    def _remember(self, anchor: Anchor) -> None:
        try:
            self._buffer.remember(self._boot, anchor)
            self._remembered = anchor
        except Retryable as error:
            log.error("time_not_remembered reason=%r", str(error))

    def _append(self, held: HeldSample) -> BufferRow:
        moment, fix = held.taken.moment, held.taken.fix
        anchor = self._keeper.anchor
        if anchor and anchor.covers(moment.uptime):
            at = fix if fix and abs((fix - anchor.at(moment.uptime)).total_seconds()) < 1 else anchor.at(moment.uptime)
            return self._put(held, at, anchor.quality, waits=False)
        if not self._patient:
            return self._put(held, self._estimated(moment), "estimated", waits=False)
        row = self._put(held, moment.wall, "estimated", waits=True)
        self._waiting += 1
        return row

    def _put(self, held: HeldSample, at: datetime, quality: str, *, waits: bool) -> BufferRow:
        document: dict[str, Json] = {"sampled_at": timestamps.from_datetime(at), "time_quality": quality}
        document |= held.taken.document
        if held.taken.interval:
            document[GROUP] = group(held.taken.interval, at)
        return self._buffer.append(document, held.taken.moment, event=held.event, waits=waits)

    def _estimated(self, moment: Moment) -> datetime:
        """The time of a sample that will not wait: on this boot's estimated time line, which is fixed once."""
        anchor = self._estimate or self._keeper.anchor
        ahead = moment.wall.timestamp() - moment.uptime
        if (
            self._clock_ran_at is not None
            and abs(ahead - self._clock_ran_at) > _CLOCK_SET
            and sane(moment.wall) == moment.wall
        ):
            # Somebody has set the clock, which is the best that is known from now on, also where it goes back.
            log.warning("clock_was_set by_seconds=%.0f", ahead - self._clock_ran_at)
            anchor = self._estimate = Anchor(moment.uptime, moment.wall, "estimated")
            self._remember(anchor)
        self._clock_ran_at = ahead
        if anchor is None:
            last = self._buffer.highest_seq
            lower, upper = self._buffer.trusted_around(last + 1, last + 1)
            placed = place(
                [BootStretch(moment.uptime, moment.uptime, sane(moment.wall))], self._not_before(lower), upper
            )
            anchor = Anchor(moment.uptime, placed[0].start, "estimated")
        if self._estimate is None:
            self._estimate = Anchor(moment.uptime, anchor.at(moment.uptime), "estimated")
            self._remember(self._estimate)
        return anchor.at(moment.uptime)

    def _release_what_can_be(self) -> Ranges:
        """Date what can be dated by now: by its boot, else between its neighbours when its boot or patience is over."""
        boots = {boot.number: boot for boot in self._buffer.boots()}
        drafts = self._buffer.waiting()
        repaired = [found for draft in drafts if (found := self._repaired(draft, boots.get(draft.boot)))]
        released = self._buffer.release(repaired)  # first: they are neighbours of the others
        known = {one.seq for one in repaired}
        placed: list[Dated] = []
        for undated, run in groupby(drafts, lambda draft: draft.seq not in known):
            if undated:
                placed += self._placed(list(run), boots)
        return released | self._buffer.release(placed)

    def _repaired(self, draft: Draft, boot: Boot | None) -> Dated | None:
        anchor = boot.anchor if boot else None
        if boot and boot.name == self._boot:
            anchor = self._keeper.anchor
        if anchor is None or not anchor.covers(draft.uptime):
            return None
        return Dated(draft.seq, max(anchor.at(draft.uptime), EARLIEST), anchor.quality)

    def _placed(self, run: Sequence[Draft], boots: dict[int, Boot]) -> list[Dated]:
        lower, upper = self._buffer.trusted_around(run[0].seq, run[-1].seq)
        if upper is None and self._patient:
            return []
        earlier = [boot.anchor.utc for number, boot in boots.items() if number < run[0].boot and boot.anchor]
        known = [time for time in (lower, *earlier) if time and (upper is None or time <= upper)]
        groups = [list(group) for _, group in groupby(run, lambda draft: draft.boot)]
        # The clock's last word counts: one that was set right meanwhile corrects what was not sent yet.
        stretches = [BootStretch(group[0].uptime, group[-1].uptime, sane(_started(group))) for group in groups]
        placed = place(stretches, self._not_before(max(known, default=None)), upper)
        if upper is None and boots.get(run[-1].boot, Boot(0, "", None)).name == self._boot:
            self._estimate = Anchor(run[-1].uptime, placed[-1].at(run[-1].uptime), "estimated")
            self._remember(self._estimate)
        return [
            Dated(draft.seq, spot.at(draft.uptime), "estimated")
            for group, spot in zip(groups, placed, strict=True)
            for draft in group
        ]

    def _not_before(self, known: datetime | None) -> datetime:
        return max(known, EARLIEST) if known else EARLIEST

    def _tell_never_stored(self) -> None:
        if self.never_stored:
            try:
                self._buffer.note({"never_stored": str(self.never_stored)})
            except Retryable as error:
                log.error("buffer_fault reason=%r", str(error))


def _started(group: Sequence[Draft]) -> datetime:
    """When a boot's first waiting sample was taken, by what the clock said at the last one."""
    try:
        return group[-1].wall - timedelta(seconds=group[-1].uptime - group[0].uptime)
    except OverflowError:
        return EARLIEST
