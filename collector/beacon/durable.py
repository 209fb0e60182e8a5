"""From a door's coroutine to the one durable writer's thread, and back when the records are committed."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

from collector.beacon.http import Refused
from contract.errors import Retryable
from contract.items import Item, Receipt

log = logging.getLogger(__name__)

Submit = Callable[[list[Item]], Future[list[Receipt]]]

ACK_SECONDS = 30.0
_BUSY_RETRY = b"1"
_FAILED_RETRY = b"5"


class Durable:
    """Hands items to `submit` and waits; whatever goes wrong there is a 503, since the client may send it again.

    shed, failed: requests turned away because the queue was full, and because the writer failed.
    """

    def __init__(self, submit: Submit) -> None:
        self._submit = submit
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
        if not await _done(future):
            raise self._failure("the writer does not answer")
        if (fault := future.exception()) is not None:
            raise self._failure(f"{type(fault).__name__}: {fault}")
        self._failing = False
        return future.result()

    def _failure(self, reason: str) -> Refused:
        self.failed += 1
        if not self._failing:
            log.error("writer_failed reason=%s", reason)
        self._failing = True
        return _unavailable("the records could not be made durable: send them again", _FAILED_RETRY)


def _unavailable(error: str, retry_after: bytes) -> Refused:
    return Refused(503, error, headers=[(b"retry-after", retry_after)])


async def _done(future: "Future[list[Receipt]]") -> bool:
    """Wait for the writer, at most ACK_SECONDS; False if it gave up or did not answer.

    Not asyncio.wrap_future: that cancels the writer's future when the request is cancelled, and a group commit must
    not stumble over one impatient client.
    """
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()
    future.add_done_callback(partial(_wake, loop, waiter))
    deadline = loop.call_later(ACK_SECONDS, _settle, waiter)
    try:
        await waiter
    finally:
        deadline.cancel()
    return future.done() and not future.cancelled()


def _wake(loop: asyncio.AbstractEventLoop, waiter: "asyncio.Future[None]", _future: "Future[list[Receipt]]") -> None:
    with contextlib.suppress(RuntimeError):  # the server has ended meanwhile
        loop.call_soon_threadsafe(_settle, waiter)


def _settle(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
