"""`GET /api/v1/events`: what changed in the fleet, once a second, as server-sent events."""

import asyncio
from collections.abc import AsyncIterator, Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from console.access import refused
from console.fleet_view import FleetView

MOST_STREAMS = 64
_SECONDS = 1.0
_QUIET_SECONDS = 15.0


class FleetEvents:
    """An endpoint. Each event has the cursor of `/api/v1/changes` as its id, so that a reconnect goes on from there."""

    def __init__(self, view: FleetView) -> None:
        self._view = view
        self.open = 0

    async def __call__(self, request: Request) -> Response:
        if self.open >= MOST_STREAMS:
            busy = refused(503, "too many live pages are open: poll /api/v1/changes instead")
            busy.headers["retry-after"] = "30"
            return busy
        cursor = request.headers.get("last-event-id") or request.query_params.get("since", "")
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        self.open += 1  # before it begins: a thousand that come at once are counted as they come
        return _Stream(self._stream(cursor), self._close, headers)

    def _close(self) -> None:
        self.open -= 1

    async def _stream(self, cursor: str) -> AsyncIterator[bytes]:
        quiet = 0.0
        while True:
            now, body = await run_in_threadpool(self._view.delta, cursor)
            if now != cursor:
                yield b"id: " + now.encode() + b"\ndata: " + body + b"\n\n"
                cursor, quiet = now, 0.0
            elif quiet >= _QUIET_SECONDS:
                yield b": nothing new\n\n"
                quiet = 0.0
            await asyncio.sleep(_SECONDS)
            quiet += _SECONDS


class _Stream(StreamingResponse):
    """Says when it is over, however it ends."""

    def __init__(self, content: AsyncIterator[bytes], close: Callable[[], None], headers: dict[str, str]) -> None:
        super().__init__(content, headers=headers, media_type="text/event-stream")
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._close()
