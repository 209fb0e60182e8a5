"""The few pieces of HTTP that the doors share, straight on ASGI: a bounded body, a JSON reply, a refusal.

Starlette's Request and Response cost more than all the rest of a small event's way to the writer.
"""

import json
from typing import Any

from starlette.types import Receive, Scope, Send

from contract.http_refusals import Headers, RequestRefused

MAX_BODY = 1024 * 1024
_MOST_DISCARDED = 8 * MAX_BODY

encode = json.JSONEncoder(separators=(",", ":")).encode  # ASCII: a lone surrogate in an id must not break the reply


class Disconnected(Exception):
    """The client went away before its body was whole: there is nobody to answer."""


async def reply(
    send: Send, body: bytes, *, status: int = 200, headers: Headers = (), media: bytes = b"application/json"
) -> None:
    """Send one whole response."""
    head = [(b"content-type", media), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})


async def send_refusal(refused: RequestRefused, send: Send, headers: Headers = ()) -> None:
    """Answer with a refusal, as JSON that names the field.

    Args:
        refused: what to say.
        send: the request's ASGI `send`.
        headers: beside the refusal's own.
    """
    body = encode(refused.document).encode("ascii")
    await reply(send, body, status=refused.status, headers=[*refused.headers, *headers])


def header(scope: Scope, name: bytes) -> bytes | None:
    """A request header's value; names are lower case in ASGI."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return None


async def read_body(scope: Scope, receive: Receive) -> bytes:
    """The request's body; Refused with 413 as soon as it is declared, or turns out, to be over MAX_BODY."""
    declared = header(scope, b"content-length")
    if declared is not None and declared.isdigit() and int(declared) > MAX_BODY:
        raise await _too_large(scope, receive)
    pieces, size, more = [], 0, True
    while more:
        message: Any = await receive()
        if message["type"] != "http.request":
            raise Disconnected
        piece, more = message.get("body", b""), message.get("more_body", False)
        pieces.append(piece)
        size += len(piece)
        if size > MAX_BODY:
            raise await _too_large(scope, receive)
    return b"".join(pieces)


async def _too_large(scope: Scope, receive: Receive) -> RequestRefused:
    """A connection that is closed with the rest unread is reset, and the client never sees the answer.

    Where it stays open, the listener reads and discards a bounded rest (contract.http_listener). Where it closes with
    the answer (HTTP/1.0, `Connection: close`) the rest is read first, unless the client waits to be told to send it.
    """
    closes = scope.get("http_version") == "1.0" or b"close" in (header(scope, b"connection") or b"").lower()
    if closes and header(scope, b"expect") is None:
        size, more = 0, True
        while more and size < _MOST_DISCARDED:
            message: Any = await receive()
            if message["type"] != "http.request":
                raise Disconnected
            size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    return RequestRefused(413, f"over {MAX_BODY} bytes: send it in several requests")
