"""From a door's coroutine to the one durable writer's thread, and back when the records are committed."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future

from contract.errors import Retryable
from contract.http_refusals import RequestRefused
from contract.ingest_items import Item, Receipt

log = logging.getLogger(__name__)

Submit = Callable[[list[Item]], Future[list[Receipt]]]
Waiter = asyncio.Future[None]

ACK_SECONDS = 30.0
_BUSY_RETRY = b"1"
_FAILED_RETRY = b"5"


class Durable:
    """Hands items to `submit` and waits; whatever goes wrong there is a 503, since the client may send it again.

    shed, failed: requests turned away because the queue was full, and because the writer failed.
    """

    def __init__(self, submit: Submit) -> None:
        self._submit = submit
        self._bell: _Bell | None = None
        self._failing = False
        self.shed = 0
        self.failed = 0

    async def receipts(self, items: list[Item]) -> list[Receipt]:
        """The receipts, in order, once durable; Refused with 503 and Retry-After otherwise."""
        if not items:
            return []
        try:
            future = self._submit(items)
        except Retryable as error:
            self.shed += 1
            raise _unavailable(str(error), _BUSY_RETRY) from None
        loop = asyncio.get_running_loop()
        if self._bell is None or self._bell.loop is not loop:
            self._bell = _Bell(loop)
        await self._bell.wait(future)
        try:
            receipts = future.result(0)
        except TimeoutError:
            raise self._failure("the writer does not answer") from None
        except (Exception, CancelledError) as error:  # noqa: BLE001 - whatever it was, nothing is acknowledged
            raise self._failure(f"{type(error).__name__}: {error}") from None
        self._failing = False
        return receipts

    def _failure(self, reason: str) -> RequestRefused:
        self.failed += 1
        if not self._failing:
            log.error("writer_failed reason=%s", reason)
        self._failing = True
        return _unavailable("the records could not be made durable: send them again", _FAILED_RETRY)


def _unavailable(error: str, retry_after: bytes) -> RequestRefused:
    return RequestRefused(503, error, headers=[(b"retry-after", retry_after)])


class _Bell:
    """Wakes coroutines of one loop from the writer's thread: once for all the requests of a group commit, and with
    one timer for all deadlines.

    Not asyncio.wrap_future: that wakes the loop for each, and cancels the writer's future when a request is
    cancelled; a group commit must not stumble over one impatient client.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._waiting: dict[Waiter, float] = {}  # oldest first
        self._done: deque[Waiter] = deque()
        self._rung = False
        self._timer: asyncio.TimerHandle | None = None

    async def wait(self, future: "Future[list[Receipt]]") -> None:
        """Until the writer is done with it, or for ACK_SECONDS."""
        waiter: Waiter = self.loop.create_future()
        self._waiting[waiter] = self.loop.time() + ACK_SECONDS
        if self._timer is None:
            self._timer = self.loop.call_later(ACK_SECONDS, self._expire)
        future.add_done_callback(lambda _: self._ring(waiter))
        try:
            await waiter
        finally:
            del self._waiting[waiter]

    def _ring(self, waiter: Waiter) -> None:
        self._done.append(waiter)
        if not self._rung:
            self._rung = True
            with contextlib.suppress(RuntimeError):  # the server has ended meanwhile
                self.loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._rung = False  # before the loop below: who comes after it rings again
        while self._done:
            _settle(self._done.popleft())

    def _expire(self) -> None:
        self._timer = None
        for waiter, deadline in self._waiting.items():
            if deadline > self.loop.time():
                self._timer = self.loop.call_at(deadline, self._expire)
                return
            _settle(waiter)


def _settle(waiter: Waiter) -> None:
    if not waiter.done():
        waiter.set_result(None)
