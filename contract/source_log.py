"""Log lines about whoever troubles a door: each kind once a minute for each source, in bounded memory."""

import logging
import time
from collections.abc import Callable

_AGAIN_SECONDS = 60.0
_MOST = 1000


class SourceLog:
    """Warnings that name a source, so that nobody fills the log by trying. Not safe for threads.

    Of more than a thousand sources within a minute, those that come later are not named.
    """

    def __init__(self, logger: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            logger: takes the lines.
            clock: seconds, never backwards.
        """
        self._logger, self._clock = logger, clock
        self._told: dict[tuple[str, str], float] = {}

    def tell(self, event: str, source: str, more: str = "") -> None:
        """Log `EVENT peer=SOURCE MORE`, unless that was told of this source within the last minute.

        Args:
            event: what it did, such as `connection_refused`.
            source: its address.
            more: further `name=value` of the line; nothing of the source's own without quotes.
        """
        now, key = self._clock(), (event, source)
        if now - self._told.get(key, now - _AGAIN_SECONDS) < _AGAIN_SECONDS:
            return
        if len(self._told) >= _MOST:
            self._told = {key: at for key, at in self._told.items() if now - at < _AGAIN_SECONDS}
            if len(self._told) >= _MOST:
                return
        self._told[key] = now
        self._logger.warning("%s peer=%s%s", event, source, f" {more}" if more else "")
