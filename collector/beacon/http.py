"""The few pieces of HTTP that the doors share, straight on ASGI: a bounded body, a JSON reply, a refusal.

Starlette's Request and Response cost more than all the rest of a small event's way to the writer.
"""

import json
from collections.abc import Iterable
from typing import Any

from starlette.types import Receive, Scope, Send

MAX_BODY = 1024 * 1024

Headers = Iterable[tuple[bytes, bytes]]
encode = json.JSONEncoder(separators=(",", ":")).encode  # ASCII: a lone surrogate in an id must not break the reply


class Refused(Exception):
    """The request gets this status and `{"error", "field"}` for an answer."""

    def __init__(self, status: int, error: str, *, field: str = "", headers: Headers = ()) -> None:
        super().__init__(error)
        self.status, self.error, self.field, self.headers = status, error, field, headers

    async def send(self, send: Send, headers: Headers = ()) -> None:
        body = encode({"error": self.error, "field": self.field or None}).encode("ascii")
        await reply(send, body, status=self.status, headers=[*self.headers, *headers])


class Disconnected(Exception):
    """The client went away before its body was whole: there is nobody to answer."""


async def reply(
    send: Send, body: bytes, *, status: int = 200, headers: Headers = (), media: bytes = b"application/json"
) -> None:
    """Send one whole response."""
    head = [(b"content-type", media), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})


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
        raise _too_large()
    pieces, size, more = [], 0, True
    while more:
        message: Any = await receive()
        if message["type"] != "http.request":
            raise Disconnected
        piece, more = message.get("body", b""), message.get("more_body", False)
        pieces.append(piece)
        size += len(piece)
        if size > MAX_BODY:
            raise _too_large()
    return b"".join(pieces)


def _too_large() -> Refused:
    """The connection stays open: closed with the rest unread, the client would see a reset instead of this answer. The
    listener reads and discards a bounded rest (contract.http_listener)."""
    return Refused(413, f"over {MAX_BODY} bytes: send it in several requests")
