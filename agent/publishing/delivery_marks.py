"""What has arrived and is not yet marked as sent in the buffer: marked at once when it comes alone, by the thousand
when it pours in. A kill in between sends some of it twice; a full disk is asked again later, for as long as it takes.
"""

from collections.abc import Callable, Sequence
from logging import getLogger

from agent.buffer import Buffer
from contract.errors import Retryable

log = getLogger(__name__)

MARK_AFTER = 0.2
"""Seconds for which an arrival may wait for others."""
_AT_ONCE = 1000
_AGAIN = 10.0


class DeliveryMarks:
    """The marks of one buffer. monotonic: seconds. now: the instant as the wire has it."""

    def __init__(self, buffer: Buffer, monotonic: Callable[[], float], now: Callable[[], str]) -> None:
        self._buffer, self._monotonic, self._now = buffer, monotonic, now
        self._delivered: list[int] = []
        self._since = self._again_at = 0.0
        self.marked = 0

    def __bool__(self) -> bool:
        """Whether anything waits for its mark."""
        return bool(self._delivered)

    def add(self, seqs: Sequence[int]) -> None:
        """These have arrived."""
        if seqs and not self._delivered:
            self._since = self._monotonic()
        self._delivered.extend(seqs)

    def forget(self) -> None:
        """The buffer was repaired: what was delivered may not be in it."""
        self._delivered = []

    def wait(self) -> float:
        """Seconds after which `flush_due` has something to do, if anything waits."""
        return max(MARK_AFTER, self._again_at - self._monotonic())

    def flush_due(self, *, travelling: bool) -> bool:
        """Mark what is due.

        Args:
            travelling: whether more may arrive at any moment.

        Returns:
            Whether nothing waits any more that did before.
        """
        now = self._monotonic()
        if not self._delivered or now < self._again_at:
            return False
        due = not travelling or len(self._delivered) >= _AT_ONCE or now - self._since > MARK_AFTER
        return due and self.flush()

    def flush(self) -> bool:
        """Mark all of it now.

        Returns:
            Whether nothing waits any more that did before; False too where the disk takes no mark.
        """
        if not self._delivered:
            return False
        try:
            self._buffer.mark_sent(self._delivered, at=self._now())
        except Retryable as error:
            if not self._again_at:
                log.error("buffer_fault reason=%r", str(error))
            self._again_at = self._monotonic() + _AGAIN
            return False
        self.marked += len(self._delivered)
        self._delivered, self._again_at = [], 0.0
        return True
