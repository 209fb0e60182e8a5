"""Requests in and replies out: bounded JSON bodies, refusals with a field and a remedy."""

import math
from collections.abc import Awaitable, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from contract.codec import Json, dump, parse
from contract.errors import Rejected, Retryable

MAX_BODY = 1024 * 1024

Endpoint = Callable[[Request], Awaitable[Response]]


class Refused(Exception):
    """The request gets this status and `{"error", "field"}`."""

    def __init__(self, status: int, error: str, *, field: str = "", retry_after: float | None = None) -> None:
        super().__init__(error)
        self.status, self.error, self.field, self.retry_after = status, error, field, retry_after

    def response(self) -> Response:
        """The answer."""
        headers = {"retry-after": str(math.ceil(self.retry_after))} if self.retry_after is not None else {}
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        return reply({"error": self.error, "field": self.field or None}, self.status, headers)


def reply(document: Json, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """One JSON document; not to be cached, since it says how things are now."""
    body = dump(document).encode()
    return Response(body, status, {"cache-control": "no-store", **(headers or {})}, "application/json")


async def read_json(request: Request) -> tuple[Json, bytes]:
    """The body, parsed, and as it came.

    Raises:
        Refused: 413 over 1 MB, 400 for what is not JSON.
    """
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > MAX_BODY:
            raise Refused(413, f"over {MAX_BODY} bytes: send it in several requests")
        pieces.append(piece)
    payload = b"".join(pieces)
    try:
        return parse(payload), payload
    except Rejected as error:
        raise Refused(400, error.reason, field=error.field) from None


def answering(endpoint: Endpoint) -> Endpoint:
    """The endpoint, with the errors that Milepost raises on purpose turned into answers."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Refused as refused:
            return refused.response()
        except Rejected as error:
            return Refused(422, error.reason, field=error.field).response()
        except Retryable as error:
            return Refused(503, str(error), retry_after=1).response()
        except ClientDisconnect:
            return Response(status_code=400)

    return answer
