"""Which samples go next: the live lane first, the backlog in batches behind it. Its only I/O is the buffer's.

A position, `live`, divides the numbers: above it wait the samples taken since we are connected (and the newest one of
before), each to be sent alone and at once, or those of a send_interval together (batch_window.py). Everything pending
up to it is backlog, read in ascending order behind a second position. Requests to resend turn sent samples into
pending ones below `live`, so they join the backlog, and asking twice changes nothing.

What the broker refuses stays pending, and is left out until its next try (held_back.py).
"""

from collections import deque
from collections.abc import Callable

from agent.buffer import Buffer, BufferRow
from agent.publishing.backlog_window import BacklogWindow
from agent.publishing.batch_window import BatchWindow
from agent.publishing.held_back import HeldBack
from agent.publishing.in_flight import InFlight, OutgoingMessage
from agent.transport import BrokerLimits
from contract.ranges import Ranges

LIVE_AT_MOST = 20
"""More live samples than this, and than go in one message, become backlog, but for the newest: one by one, they would
fall further behind."""

_READ = 500
_RESERVED_FOR_LIVE = 10
_BRACKETS = 16


class SendQueue:
    """The two lanes of one buffer. Connected and lost in turns; `next` is only called while connected."""

    def __init__(
        self, buffer: Buffer, limits: BrokerLimits, monotonic: Callable[[], float], gathering: BatchWindow | None = None
    ) -> None:
        self._buffer, self._limits, self._monotonic = buffer, limits, monotonic
        self._gathering = gathering or BatchWindow(0, monotonic)
        self._in_flight = InFlight()
        self._unmarked: set[int] = set()  # delivered, and still pending in the buffer
        self._window = BacklogWindow(monotonic)
        self._ahead: deque[BufferRow] = deque()
        self._live = 0
        self._position = 0
        self._exhausted = False
        self._held = HeldBack(monotonic)
        self._payload = self._batch_bytes = limits.batch_bytes

    def set_limits(self, limits: BrokerLimits) -> None:
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
        self._live = newest if newest in self._held.seqs | self._unmarked else max(newest - 1, 0)
        self._window.connected()
        self._gathering.begin()
        self._read_backlog_from(0)

    def restart(self) -> None:
        """The buffer was repaired: forget what travelled and was held, and read it all again."""
        self.lost()
        self._held.clear()
        self._unmarked.clear()
        self._live = max(self._buffer.highest_seq - 1, 0)
        self._read_backlog_from(0)

    def lost(self) -> None:
        """The connection has ended: what travelled may have arrived or not, and is sent again."""
        self._in_flight.clear()
        self._window.lost()
        self._exhausted = False

    def sent(self, token: int, parcel: OutgoingMessage) -> None:
        """A parcel was handed to the transport."""
        self._in_flight.add(token, parcel)
        if parcel.backlog or parcel.batch:
            self._window.sent(token, len(parcel.payload))

    def delivered(self, tokens: tuple[int, ...]) -> list[int]:
        """The samples that have arrived; tokens that are not ours or of an earlier connection are ignored."""
        seqs = [seq for token in tokens for seq in self._back(token, delivered=True)]
        self._unmarked.update(seqs)
        if seqs:
            self._held.delivered(seqs)
        return seqs

    def marked(self) -> None:
        """All that was delivered is marked as sent in the buffer."""
        self._unmarked.clear()

    def refused(self, token: int) -> tuple[int, ...]:
        """The samples that the broker did not take; they stay pending."""
        seqs = self._back(token)
        if seqs:
            self._held.add(seqs)
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
        moments = [self._held.sweep_at]
        if self._live < self._buffer.highest_seq and (gathers := self._gathering.wait()):
            moments.append(now + gathers)
        if self._held.paused() and not self._exhausted:
            moments.append(self._held.paused_until)
        return max(0.0, min(moments) - now)

    def _back(self, token: int, *, delivered: bool = False) -> tuple[int, ...]:
        seqs = self._in_flight.pop(token)
        if seqs:
            self._window.answered(token, delivered=delivered)
        return seqs

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
        return OutgoingMessage.of(rows, backlog=False) if rows else None

    def _fitting(self, rows: list[BufferRow]) -> list[BufferRow]:
        """As many of them as one message takes, one at least."""
        size = _BRACKETS
        for number, row in enumerate(rows):
            size += len(row.body) + 1
            if number and size > self._batch_size:
                return rows[:number]
        return rows

    def _next_backlog(self) -> OutgoingMessage | None:
        if self._held.release_due():
            self._read_backlog_from(0)
        if self._exhausted or self._held.paused():
            return None
        travelling = len(self._in_flight)
        if travelling and travelling >= self._limits.window - _RESERVED_FOR_LIVE:
            return None
        waiting = self._in_flight.backlog_bytes
        if waiting and waiting + self._batch_size > min(self._limits.backlog_in_flight, self._window.size):
            return None
        return self._batch()

    @property
    def _batch_size(self) -> int:
        """Bytes of one batch: what the settings and the broker allow, and what the line carries."""
        return min(self._batch_bytes, self._window.size)

    def _batch(self) -> OutgoingMessage | None:
        rows: list[BufferRow] = []
        ahead, largest = self._ahead, self._batch_size
        size, most = _BRACKETS - 1, self._limits.records
        while len(rows) < most and (ahead or self._read_ahead()):
            seq, body = ahead[0]
            most, size = self._held.together(seq, most), size + len(body) + 1
            if rows and (len(rows) >= most or size > largest):
                break
            rows.append(ahead.popleft())
        return OutgoingMessage.of(rows, backlog=True) if rows else None

    def _read_ahead(self) -> bool:
        """Whether there are backlog rows; left out is what travels when they are read, whose own end decides, what is
        held, and what arrived while a full disk takes no mark."""
        while not self._ahead:
            rows = self._buffer.pending(after=self._position, through=self._live, limit=_READ)
            if not rows:
                self._exhausted = True
                return False
            left_out = self._in_flight.seqs | self._unmarked | self._held.seqs
            self._ahead.extend(row for row in rows if row.seq not in left_out)
            self._position = rows[-1].seq
        return True
