"""Requests in and replies out: bounded JSON bodies, refusals with a field and a remedy."""

from collections.abc import Awaitable, Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from contract.codec import Json, dump, parse
from contract.errors import Rejected, Retryable
from contract.http_refusals import RequestRefused, retry_after

MAX_BODY = 1024 * 1024

Endpoint = Callable[[Request], Awaitable[Response]]
Keep = Callable[[bytes, Rejected], object]


def reply(document: Json, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """One JSON document; not to be cached, since it says how things are now."""
    body = dump(document).encode()
    return Response(body, status, {"cache-control": "no-store", **(headers or {})}, "application/json")


def refusal(refused: RequestRefused) -> Response:
    """The answer to a refused request; a 401 says how to sign in."""
    headers = {name.decode("ascii"): value.decode("ascii") for name, value in refused.headers}
    if refused.status == 401:
        headers["www-authenticate"] = "Bearer"
    return reply(refused.document, refused.status, headers)


async def read_json(request: Request, keep: Keep | None = None) -> tuple[Json, bytes]:
    """The body, parsed, and as it came.

    Args:
        request: with one JSON document.
        keep: keeps the bytes of a body that does not parse, before that is answered.

    Raises:
        RequestRefused: 413 over 1 MB, 400 for what is not JSON.
    """
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > MAX_BODY:
            raise RequestRefused(413, f"over {MAX_BODY} bytes: send it in several requests")
        pieces.append(piece)
    payload = b"".join(pieces)
    try:
        return await run_in_threadpool(parse, payload), payload  # a megabyte of numbers takes a second
    except Rejected as error:
        if keep and payload:
            await run_in_threadpool(keep, payload, error)
        raise RequestRefused(400, f"{error.reason}: send one JSON document", field=error.field) from None


def answering(endpoint: Endpoint) -> Endpoint:
    """The endpoint, with the errors that Milepost raises on purpose turned into answers."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except RequestRefused as refused:
            return refusal(refused)
        except Rejected as error:
            return refusal(RequestRefused(422, error.reason, field=error.field))
        except Retryable as error:
            return refusal(RequestRefused(503, str(error), headers=[retry_after(1)]))
        except ClientDisconnect:
            return Response(status_code=400)

    return answer
