"""The beacon's ASGI application: the paths of docs/wire.md, composed.

It keeps nothing itself: `submit` hands records to the single durable writer, and a request is answered when the
writer's commit has them. Run it in one process with the writer (`milepost up`), access log off: a line a click says
nothing that the store does not, and costs as much as the event.
"""

import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import cast

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from collector.beacon.admission import Admission, FreeBytes
from collector.beacon.anonymous_events import AnonymousEvents
from collector.beacon.browser_cookie import BrowserCookie
from collector.beacon.enrichment import Enrichment
from collector.beacon.http import encode
from collector.beacon.pixel_endpoint import Pixel
from collector.beacon.posted_records import CLICKS, TELEMETRY
from collector.beacon.record_endpoint import Clock, Keys, Records
from collector.beacon.served_script import ENDPOINT, served_script
from collector.beacon.settings import BeaconSettings
from collector.beacon.writer_bridge import Durable, Submit
from contract import machine_clock
from contract.codec import Json
from contract.http_access import Network, is_local

Stats = Callable[[], Mapping[str, Json]]

_SCRIPT_SECONDS = 3600
_STATUS_SECONDS = 1.0


def _no_stats() -> Mapping[str, Json]:
    return {}


def create_app(  # noqa: PLR0913 - what it is composed of
    submit: Submit,
    *,
    settings: BeaconSettings,
    stats: Stats = _no_stats,
    trusted: Sequence[Network] = (),
    free: FreeBytes | None = None,
    retired: Callable[[str], bool] | None = None,
    clock: Clock = machine_clock.now_ms,
) -> "BeaconApp":
    """The application.

    Args:
        submit: takes items to the durable writer, and raises Retryable at once when its queue is full (503).
        settings: who may send how much from where.
        stats: fields for /healthz, cheap; with a `failing` that is not empty, the reason why the writer is dead, it is
            503. A remote request learns its status only.
        trusted: proxies whose client address is believed.
        free: bytes left where the store is.
        retired: whether a truck's key counts no more.
        clock: Unix milliseconds of arrival.

    Returns:
        An ASGI application that answers 200 only for what `submit` said is durable.
    """
    durable = Durable(submit)
    admission = Admission(settings, trusted, free=free)
    anonymous = AnonymousEvents(settings.identity_secret, trusted)
    enrichment = Enrichment(settings.geoip, settings.country_headers, trusted)
    clicks = Records(
        CLICKS,
        durable,
        keys=None,
        admission=admission,
        anonymous=anonymous,
        enrichment=enrichment,
        cookie=BrowserCookie(settings.cookie_days) if settings.cookie_days else None,
        clock=clock,
    )
    keys = Keys(settings.telemetry_keys, trusted, retired=retired)
    telemetry = Records(TELEMETRY, durable, keys=keys, clock=clock)

    def figures() -> Mapping[str, int]:
        return {"shed": durable.shed, "failed": durable.failed, **admission.figures()}

    remembered = _Remembered(stats)

    async def healthz(request: Request) -> Response:
        local = is_local(request.client.host if request.client else None, request.headers.raw)
        found = dict(stats() if local else remembered())
        reason = found.pop("failing", None)
        status = {"status": "failing" if reason else "ok"}
        if not local:
            return _json(503 if reason else 200, status)
        if reason:
            return _json(503, {**status, "reason": str(reason), **found})
        return _json(200, {**status, **figures(), **found})

    pixel = Pixel(durable, admission=admission, enrichment=enrichment, clock=clock)
    routes = [
        Route(ENDPOINT, clicks, methods=["POST", "OPTIONS"]),
        Route("/v1/telemetry", telemetry, methods=["POST"]),
        Route("/v1/pixel.gif", pixel, methods=["GET"]),
        Route("/healthz", healthz, methods=["GET"]),
        Route("/beacon.js", _script(ENDPOINT), methods=["GET"]),
    ]
    if settings.alias:
        routes.append(Route(settings.alias, clicks, methods=["POST", "OPTIONS"]))
        routes.append(Route(f"{settings.alias}.js", _script(settings.alias), methods=["GET"]))
    app = BeaconApp(routes=routes, exception_handlers={HTTPException: _http_error, Exception: _crash})
    app.router.redirect_slashes = False
    app.figures = figures
    app.straight = dict.fromkeys(filter(None, (ENDPOINT, settings.alias)), clicks)
    return app


class _Remembered:
    """Figures of at most a second ago: a stranger's question must not cost what gathering them does."""

    def __init__(self, stats: Stats) -> None:
        self._stats, self._at, self._found = stats, -_STATUS_SECONDS, dict[str, Json]()

    def __call__(self) -> Mapping[str, Json]:
        if time.monotonic() - self._at >= _STATUS_SECONDS:
            self._found, self._at = dict(self._stats()), time.monotonic()
        return self._found


class BeaconApp(Starlette):
    """A Starlette application that hands the events of pages straight to their door.

    Routing and middleware would take longer than all else that the event loop does for an event.
    straight: path → what takes a POST there. figures: numbers of the click doors since the start, for /healthz and
    /metrics: requests `shed` since the queue was full, `failed` since the writer did, and refused ones by why
    (collector.beacon.admission).
    """

    straight: Mapping[str, ASGIApp] = {}
    figures: Callable[[], Mapping[str, int]] = staticmethod(dict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        door = self.straight.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if door is None:
            await super().__call__(scope, receive, send)
            return
        try:
            await door(scope, receive, send)
        except Exception:
            with suppress(RuntimeError):  # the answer has begun
                await (await _crash(Request(scope), None))(scope, receive, send)
            raise  # the server logs it


def _script(endpoint: str) -> Callable[[Request], Awaitable[Response]]:
    """Serves beacon.js; read once, since a deployment replaces the process."""
    text = served_script(endpoint)
    headers = {
        "ETag": f'"{hashlib.sha256(text).hexdigest()[:16]}"',
        "Cache-Control": f"public, max-age={_SCRIPT_SECONDS}",
        "Access-Control-Allow-Origin": "*",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "X-Content-Type-Options": "nosniff",
    }

    async def script(request: Request) -> Response:
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(text, media_type="text/javascript", headers=headers)

    return script


def _json(status: int, document: Json, headers: Mapping[str, str] | None = None) -> Response:
    return Response(encode(document), status, headers, "application/json")


async def _http_error(request: Request, exception: Exception) -> Response:
    """404 and 405, the routing's own refusals."""
    error = cast(HTTPException, exception)
    allowed = (error.headers or {}).get("Allow")
    if error.status_code == 405:
        said = f"{request.method} is not for {request.url.path}: use {allowed}"
    else:
        paths = ", ".join(route.path for route in request.app.routes)
        said = f"no such path: there are {paths}"
    return _json(error.status_code, {"error": said, "field": None}, error.headers)


async def _crash(_request: Request, _error: Exception | None) -> Response:
    """A fault of ours; the server logs it, and the client may try again."""
    return _json(500, {"error": "an internal error, logged on the server: send it again", "field": None})
