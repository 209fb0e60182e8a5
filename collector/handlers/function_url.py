"""An ASGI application behind a Lambda function URL or an HTTP API (payload format 2.0)."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any
from urllib.parse import unquote

App = Callable[[Any, Any, Any], Awaitable[None]]


def answer(app: App, event: dict[str, Any]) -> dict[str, Any]:
    """The application's response to one request, as Lambda wants it.

    Args:
        app: an ASGI application.
        event: a request of payload format 2.0.

    Returns:
        The response in the form that Lambda's function URLs and HTTP APIs take.
    """
    body = event.get("body") or ""
    posted = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode("utf-8", "surrogatepass")
    head: dict[str, Any] = {}
    pieces: list[bytes] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": posted, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            head.update(message)
        else:
            pieces.append(message.get("body", b""))

    _loop().run_until_complete(app(_scope(event), receive, send))
    return _response(head, b"".join(pieces))


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


def _scope(event: dict[str, Any]) -> dict[str, Any]:
    http = event["requestContext"]["http"]
    path = event.get("rawPath") or "/"
    stage = event["requestContext"].get("stage", "$default")
    if stage != "$default":
        path = path.removeprefix(f"/{stage}") or "/"
    headers = [
        (name.lower().encode("latin-1", "replace"), value.encode("latin-1", "replace"))
        for name, value in (event.get("headers") or {}).items()
    ]
    if (cookies := event.get("cookies")) and not any(name == b"cookie" for name, _ in headers):
        headers.append((b"cookie", "; ".join(cookies).encode("latin-1", "replace")))
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": http["method"],
        "scheme": "https",
        "path": unquote(path),
        "raw_path": path.encode("latin-1", "replace"),
        "root_path": "",
        "query_string": (event.get("rawQueryString") or "").encode("latin-1", "replace"),
        "headers": headers,
        "client": (http.get("sourceIp", ""), 0),
        "server": (event["requestContext"].get("domainName", ""), 443),
    }


def _response(head: dict[str, Any], body: bytes) -> dict[str, Any]:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head["headers"]}
    media_type = headers.get("content-type", "").split(";")[0]
    is_packed = "content-encoding" in headers
    plain = not is_packed and media_type in ("application/json", "text/javascript", "text/plain")
    text = body.decode("utf-8") if plain else base64.b64encode(body).decode("ascii")
    return {"statusCode": head["status"], "headers": headers, "body": text, "isBase64Encoded": not plain}
