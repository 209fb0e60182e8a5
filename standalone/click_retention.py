"""Keeps what strangers' clicks take within bounds: refused ones are stored as they came, counted ones for ever.

Only letters of the clicks' HTTP doors are removed, the oldest first: what a truck or a file brought stays until it is
discarded by hand (`milepost dead-letters discard`). Counted events are removed only where `[beacon] click_days` says
when. What goes by its age waits until the machine's clock has run evenly for an hour: a machine that starts in 2099, or
is set there and back, would drop all events at once and refuse those to come.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial

from collector.beacon.posted_records import CLICKS
from collector.beacon.settings import BeaconSettings
from collector.rows import DeadLetter
from collector.stores import Reader, Store
from contract import machine_clock, timestamps
from standalone.group_commit_writer import Writer

log = logging.getLogger(__name__)

_EVERY_SECONDS = 600.0
_EVEN_SECONDS = 3600.0
_STEP_MS = 5_000
_AT_ONCE = 500
_DAY_MS = 86_400_000
_MEGABYTE = 1024 * 1024
_ROW_BYTES = 500
"""About what a letter takes beside its payload."""


class EvenClock:
    """The machine's clock, believed once it has run evenly for an hour.

    Args:
        wall: Unix milliseconds; may step either way.
        elapsed: seconds, never backwards.
    """

    def __init__(
        self, wall: Callable[[], int] = machine_clock.now_ms, elapsed: Callable[[], float] = time.monotonic
    ) -> None:
        self._wall, self._elapsed = wall, elapsed
        self._begin()

    def _begin(self) -> None:
        self._since, self._began_ms = self._elapsed(), self._wall()

    def now_ms(self) -> int | None:
        """Ask at least every few minutes, so that no step and its return are missed.

        Returns:
            Unix milliseconds; None where the clock was stepped, or not looked at yet, within the last hour.
        """
        seconds, now_ms = self._elapsed() - self._since, self._wall()
        if abs(now_ms - self._began_ms - seconds * 1000) > _STEP_MS:
            log.warning("clock_stepped seconds=%.0f", (now_ms - self._began_ms) / 1000 - seconds)
            self._begin()
            return None
        return now_ms if seconds >= _EVEN_SECONDS else None


def expired(letters: Iterable[DeadLetter], settings: BeaconSettings, now_ms: int | None) -> list[str]:
    """Which letters must go.

    Args:
        letters: all of a store, in any order.
        settings: `[beacon]`; `dead_letter_days` and `dead_letter_mb` are the bounds.
        now_ms: Unix milliseconds; None: nobody knows, and none goes by its age.

    Returns:
        Their ids, oldest first.
    """
    ours = [(it.received_ms, it.id, len(it.payload) + _ROW_BYTES) for it in letters if it.source == CLICKS.source]
    over = sum(size for _, _, size in ours) - settings.dead_letter_mb * _MEGABYTE
    oldest = 0 if now_ms is None else now_ms - settings.dead_letter_days * _DAY_MS
    gone = []
    for received_ms, id, size in sorted(ours):
        if over <= 0 and received_ms >= oldest:
            break
        gone.append(id)
        over -= size
    return gone


def keep_within(
    writer: Writer,
    open_reader: Callable[[], Reader | None],
    settings: BeaconSettings,
    *,
    stop: threading.Event,
    clock: Callable[[], int | None] | None = None,
) -> None:
    """Remove what is expired, every ten minutes until `stop`; for a thread of its own.

    Letters are read by a connection of its own, and letters and events removed a few hundred at a time between two
    commits of the writer, so that neither trucks nor shoppers wait for it. clock: as EvenClock.now_ms, which it is.
    """
    clock = clock or EvenClock().now_ms
    while not stop.is_set():
        now_ms = clock()
        if reader := open_reader():
            try:
                gone = expired(reader.dead_letters(), settings, now_ms)
            finally:
                reader.close()
            for start in range(0, len(gone), _AT_ONCE):
                writer.call(_remover(gone[start : start + _AT_ONCE])).result()
            if gone:
                log.warning("click_dead_letters_removed count=%d", len(gone))
        if settings.click_days is not None and now_ms is not None:
            before = first_kept_day(settings.click_days, now_ms)
            done = 0
            while not stop.is_set() and (step := writer.call(partial(_drop, before)).result()):
                done += step
            if done:
                log.info("old_clicks_dropped before=%s", before)
        stop.wait(_EVERY_SECONDS)


def first_kept_day(days: int, now_ms: int) -> str:
    """The midnight (UTC, `…sssZ`) from which on events of the last `days` days are kept."""
    return timestamps.from_ms((now_ms - days * _DAY_MS) // _DAY_MS * _DAY_MS)


def _drop(before: str, store: Store) -> int:
    return store.drop_clicks(before, _AT_ONCE)


def _remover(ids: list[str]) -> Callable[[Store], None]:
    def remove(store: Store) -> None:
        for id in ids:
            store.remove_dead_letter(id)

    return remove
