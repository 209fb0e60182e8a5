"""Samples that the broker refused: held back until a sweep tries them again, in smaller groups. Pure.

The next sweep is a minute after the first refusal, and each after twice as long, an hour at most, also across
reconnects (mosquitto 2.0 ends the connection after a refusal). What was refused together is tried again in smaller
groups, down to single samples, so that one that nobody will take does not hold up its neighbours for long. The whole
backlog pauses after a refusal, for a second, doubling to five minutes; any delivery lifts the pause.
"""

from collections.abc import Callable, Iterable, Sequence

_PAUSE_FIRST, _PAUSE_LONGEST = 1.0, 300.0
_SWEEP_FIRST, _SWEEP_LONGEST = 60.0, 3600.0
NEVER = float("inf")


class HeldBack:
    """Those of one buffer. seqs: held back now. sweep_at, paused_until: monotonic seconds; `NEVER` for no sweep."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._pause, self.paused_until = _PAUSE_FIRST, 0.0
        self._sweep, self.sweep_at = _SWEEP_FIRST, NEVER
        self.seqs: set[int] = set()
        self._at_most: dict[int, int] = {}  # seq → how many may go together with it, where it was refused before

    def together(self, seq: int, most: int) -> int:
        """How many may go in one message with this one, `most` at most."""
        return min(most, self._at_most.get(seq, most))

    def paused(self) -> bool:
        """Whether the backlog waits after a refusal."""
        return bool(self.paused_until) and self._monotonic() < self.paused_until

    def add(self, seqs: Sequence[int]) -> None:
        """They were refused in one message."""
        now = self._monotonic()
        self.paused_until = now + self._pause
        self._pause = min(self._pause * 2, _PAUSE_LONGEST)
        self.seqs.update(seqs)
        self._at_most.update(dict.fromkeys(seqs, max(1, len(seqs) // 4)))
        if self.sweep_at == NEVER:
            self.sweep_at = now + self._sweep
            self._sweep = min(self._sweep * 2, _SWEEP_LONGEST)

    def delivered(self, seqs: Iterable[int]) -> None:
        """Some arrived: the pause is over, and earlier refusals of these are forgotten."""
        self._pause, self.paused_until = _PAUSE_FIRST, 0.0
        if self._at_most:
            for seq in seqs:
                self._at_most.pop(seq, None)
            if not self._at_most:
                self._sweep = _SWEEP_FIRST

    def release_due(self) -> bool:
        """Whether the sweep's time has come; then nothing is held back any more, and all of it is to be read again."""
        if not self.seqs or self._monotonic() < self.sweep_at:
            return False
        self.sweep_at = NEVER
        self.seqs.clear()
        return True

    def clear(self) -> None:
        """The buffer was repaired: its numbers may be others, and no sweep is waited for. A pause goes on."""
        self.sweep_at = NEVER
        self.seqs.clear()
        self._at_most.clear()
