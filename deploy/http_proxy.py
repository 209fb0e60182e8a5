"""HTTP at an address of our own, for the beacon that runs as a function behind one that nobody can remember.

What a function URL does on AWS by its own name: requests go on as they came, answers come back as they are.
"""

import urllib.error
import urllib.request

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_SECONDS = 30.0
_HOPS = frozenset({"host", "connection", "content-length", "transfer-encoding", "date", "server"})
"""Headers that are of one connection, not of the request."""
_METHODS = ["GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"]


def forward(target: str) -> Starlette:
    """An application that hands every request to the URL `target`."""

    async def hand_on(request: Request) -> Response:
        query = f"?{request.url.query}" if request.url.query else ""
        onward = urllib.request.Request(
            f"{target}{request.scope['raw_path'].decode('latin-1')}{query}",
            data=await request.body() or None,
            headers={name: value for name, value in request.headers.items() if name not in _HOPS},
            method=request.method,
        )
        return await run_in_threadpool(_ask, onward)

    return Starlette(routes=[Route("/{path:path}", hand_on, methods=_METHODS)])


def _ask(request: urllib.request.Request) -> Response:
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
            return _response(answer.status, answer)
    except urllib.error.HTTPError as answer:
        with answer:
            return _response(answer.code, answer)
    except OSError as error:
        return Response(f"the function cannot be reached: {error}\n", 502, media_type="text/plain")


def _response(status: int, answer: "urllib.response.addinfourl") -> Response:
    response = Response(answer.read(), status)
    for name, value in answer.headers.items():
        if name.lower() not in _HOPS:
            response.headers.append(name, value)
    return response
