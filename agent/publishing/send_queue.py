"""Which samples go next: the live lane first, the backlog in batches behind it. Its only I/O is the buffer's.

A position, `live`, divides the numbers: above it wait the samples taken since we are connected (and the newest one of
before), each to be sent alone and at once, or those of a send_interval together (gathering.py). Everything pending up
to it is backlog, read in ascending order behind a second position. Requests to resend turn sent samples into pending
ones below `live`, so they join the backlog, and asking twice changes nothing.

What the broker refuses stays pending and is held back until the next sweep, a minute later at first, an hour at most,
also across reconnects (mosquitto 2.0 ends the connection after a refusal). What was refused together is tried again in
smaller groups, down to single samples, so that one that nobody will take does not hold up its neighbours for long. The
backlog pauses after a refusal, for a second, doubling to five minutes; any delivery lifts the pause.
"""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from agent.buffer import Buffer, Row, join_batch
from agent.publishing.backlog_window import BacklogWindow
from agent.publishing.batch_window import BatchWindow
from agent.transport import Limits
from contract.ranges import Ranges

LIVE_AT_MOST = 20
"""More live samples than this, and than go in one message, become backlog, but for the newest: one by one, they would
fall further behind."""

_READ = 500
_PAUSE_FIRST, _PAUSE_LONGEST = 1.0, 300.0
_SWEEP_FIRST, _SWEEP_LONGEST = 60.0, 3600.0
_RESERVED_FOR_LIVE = 10
_BRACKETS = 16


class OutgoingMessage(NamedTuple):
    """What goes out as one message: these samples, alone or as a batch."""

    seqs: tuple[int, ...]
    payload: bytes
    backlog: bool

    @property
    def batch(self) -> bool:
        """Whether the payload is `{"records":[…]}` and not one sample."""
        return len(self.seqs) > 1


class SendQueue:
    """The two lanes of one buffer. Connected and lost in turns; `next` is only called while connected."""

    def __init__(
        self, buffer: Buffer, limits: Limits, monotonic: Callable[[], float], gathering: BatchWindow | None = None
    ) -> None:
        self._buffer, self._limits, self._monotonic = buffer, limits, monotonic
        self._gathering = gathering or BatchWindow(0, monotonic)
        self._in_flight: dict[int, OutgoingMessage] = {}
        self._travelling: set[int] = set()
        self._unmarked: set[int] = set()  # delivered, and still pending in the buffer
        self._backlog_bytes = 0
        self._window = BacklogWindow(monotonic)
        self._ahead: deque[Row] = deque()
        self._live = 0
        self._position = 0
        self._exhausted = False
        self._pause, self._paused_until = _PAUSE_FIRST, 0.0
        self._sweep, self._sweep_at = _SWEEP_FIRST, float("inf")
        self._held: set[int] = set()
        self._at_most: dict[int, int] = {}  # seq → how many may go together with it, where it was refused before
        self._payload = self._batch_bytes = limits.batch_bytes

    def adopt(self, limits: Limits) -> None:
        """Other limits from now on."""
        self._limits = limits
        self._batch_bytes = min(limits.batch_bytes, self._payload)

    @property
    def in_flight(self) -> int:
        """Messages that are neither delivered nor refused."""
        return len(self._in_flight)

    def idle(self) -> bool:
        """Nothing travels and nothing that may go now waits."""
        return not self._in_flight and self._exhausted and self._live >= self._buffer.highest_seq

    def connected(self, payload: int) -> None:
        """A new connection takes messages of up to `payload` bytes: the newest sample first, then all the others."""
        self._payload, self._batch_bytes = payload, min(self._limits.batch_bytes, payload)
        newest = self._buffer.highest_seq
        self._live = newest if newest in self._held | self._unmarked else max(newest - 1, 0)
        self._window.connected()
        self._gathering.begin()
        self._read_backlog_from(0)

    def restart(self) -> None:
        """The buffer was repaired: forget what travelled and was held, and read it all again."""
        self.lost()
        self._held.clear()
        self._unmarked.clear()
        self._at_most.clear()
        self._live = max(self._buffer.highest_seq - 1, 0)
        self._read_backlog_from(0)

    def lost(self) -> None:
        """The connection has ended: what travelled may have arrived or not, and is sent again."""
        self._in_flight.clear()
        self._travelling.clear()
        self._backlog_bytes = 0
        self._window.lost()
        self._exhausted = False

    def took(self, token: int, parcel: OutgoingMessage) -> None:
        """A parcel was handed to the transport."""
        self._in_flight[token] = parcel
        self._travelling.update(parcel.seqs)
        if parcel.backlog:
            self._backlog_bytes += len(parcel.payload)
        if parcel.backlog or parcel.batch:
            self._window.sent(token, len(parcel.payload))

    def delivered(self, tokens: tuple[int, ...]) -> list[int]:
        """The samples that have arrived; tokens that are not ours or of an earlier connection are ignored."""
        seqs = [seq for token in tokens for seq in self._back(token, delivered=True)]
        self._unmarked.update(seqs)
        if seqs:
            self._pause, self._paused_until = _PAUSE_FIRST, 0.0
        if self._at_most:
            for seq in seqs:
                self._at_most.pop(seq, None)
            if not self._at_most:
                self._sweep = _SWEEP_FIRST
        return seqs

    def marked(self) -> None:
        """All that was delivered is marked as sent in the buffer."""
        self._unmarked.clear()

    def refused(self, token: int) -> tuple[int, ...]:
        """The samples that the broker did not take; they stay pending."""
        seqs = self._back(token)
        if not seqs:
            return ()
        now = self._monotonic()
        self._paused_until = now + self._pause
        self._pause = min(self._pause * 2, _PAUSE_LONGEST)
        self._held.update(seqs)
        self._at_most.update(dict.fromkeys(seqs, max(1, len(seqs) // 4)))
        if self._sweep_at == float("inf"):
            self._sweep_at = now + self._sweep
            self._sweep = min(self._sweep * 2, _SWEEP_LONGEST)
        return seqs

    def resend(self, again: Ranges) -> None:
        """These are pending (again): read the backlog from the first of them on."""
        if again:
            self._read_backlog_from(again.pairs[0][0] - 1)

    def next(self, *, backlog: bool = True) -> OutgoingMessage | None:
        """The next parcel, live before backlog, where that is let go; None if nothing may go now."""
        if len(self._in_flight) >= self._limits.window:
            return None
        return self._next_live() or (self._next_backlog() if backlog else None)

    def wait(self) -> float:
        """Seconds after which `next` may have something without any event before: a pause or a sweep."""
        now = self._monotonic()
        moments = [self._sweep_at]
        if self._live < self._buffer.highest_seq and (gathers := self._gathering.wait()):
            moments.append(now + gathers)
        if self._paused_until > now and not self._exhausted:
            moments.append(self._paused_until)
        return max(0.0, min(moments) - now)

    def _back(self, token: int, *, delivered: bool = False) -> tuple[int, ...]:
        parcel = self._in_flight.pop(token, None)
        if parcel is None:
            return ()
        self._travelling.difference_update(parcel.seqs)
        self._window.answered(token, delivered=delivered)
        if parcel.backlog:
            self._backlog_bytes -= len(parcel.payload)
        return parcel.seqs

    def _read_backlog_from(self, position: int) -> None:
        read = self._ahead[0].seq - 1 if self._ahead else self._position
        self._position = min(position, read)
        self._ahead.clear()
        self._exhausted = False

    def _next_live(self) -> OutgoingMessage | None:
        highest = self._buffer.highest_seq
        if self._live >= highest or self._gathering.wait():
            return None
        most = 1 if self._gathering.alone else self._limits.records
        if highest - self._live > max(LIVE_AT_MOST, most):
            self._live, self._exhausted = highest - 1, False
        rows = self._fitting(self._buffer.pending(after=self._live, through=highest, limit=most))
        self._live = rows[-1].seq if rows else highest
        if rows and self._live >= highest:
            self._gathering.emptied()
        return _parcel(rows, backlog=False) if rows else None

    def _fitting(self, rows: list[Row]) -> list[Row]:
        """As many of them as one message takes, one at least."""
        size = _BRACKETS
        for number, row in enumerate(rows):
            size += len(row.body) + 1
            if number and size > self._batch_size:
                return rows[:number]
        return rows

    def _next_backlog(self) -> OutgoingMessage | None:
        if self._held and self._monotonic() >= self._sweep_at:
            self._sweep_at = float("inf")
            self._held.clear()
            self._read_backlog_from(0)
        if self._exhausted or (self._paused_until and self._monotonic() < self._paused_until):
            return None
        if self._in_flight and len(self._in_flight) >= self._limits.window - _RESERVED_FOR_LIVE:
            return None
        allowed = min(self._limits.backlog_in_flight, self._window.size)
        if self._backlog_bytes and self._backlog_bytes + self._batch_size > allowed:
            return None
        return self._batch()

    @property
    def _batch_size(self) -> int:
        """Bytes of one batch: what the settings and the broker allow, and what the line carries."""
        return min(self._batch_bytes, self._window.size)

    def _batch(self) -> OutgoingMessage | None:
        rows: list[Row] = []
        size, most = 0, self._limits.records
        while len(rows) < most and (row := self._peek()):
            most = min(most, self._at_most.get(row.seq, most))
            if rows and (len(rows) >= most or size + len(row.body) + _BRACKETS > self._batch_size):
                break
            rows.append(self._ahead.popleft())
            size += len(row.body) + 1
        return _parcel(rows, backlog=True) if rows else None

    def _peek(self) -> Row | None:
        """The next backlog row; left out is what travels when it is read, whose own end decides, what is held, and what
        arrived while a full disk takes no mark."""
        while not self._ahead:
            rows = self._buffer.pending(after=self._position, through=self._live, limit=_READ)
            if not rows:
                self._exhausted = True
                return None
            left_out = self._travelling | self._unmarked | self._held
            self._ahead.extend(row for row in rows if row.seq not in left_out)
            self._position = rows[-1].seq
        return self._ahead[0]


def _parcel(rows: list[Row], *, backlog: bool) -> OutgoingMessage:
    payload = join_batch(rows) if len(rows) > 1 else rows[0].body
    return OutgoingMessage(tuple(row.seq for row in rows), payload, backlog)
