"""Who may see the console: this machine itself. Others are refused until sign-in is built (docs/console.md)."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from contract.codec import dump
from contract.http_access import is_local

Endpoint = Callable[[Request], Awaitable[Response]]
_REFUSED = "the console answers only requests of this machine itself: open it there, or through an SSH tunnel"


def local_only(endpoint: Endpoint) -> Endpoint:
    """The endpoint for local requests; 403 for all others, with what to do instead."""

    async def answer(request: Request) -> Response:
        peer = request.client.host if request.client else None
        if not is_local(peer, request.headers.raw):
            return Response(dump({"error": _REFUSED, "field": None}), 403, media_type="application/json")
        return await endpoint(request)

    return answer
