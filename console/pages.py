"""The console's page and its static files, under a strict Content-Security-Policy: no foreign request is possible, but
for a map of streets where `[console] streets` names one."""

import gzip
import hashlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from console.access import ConsoleAccess, Endpoint

STATIC = Path(__file__).with_name("static")
PATHS = ("/", "/fleet", "/truck/{truck_id}", "/shop", "/orders", "/pipeline", "/alerts", "/sign-in")
"""Each is the same page; its script reads the address."""

_WORTH_PACKING = 2_000
_POLICY = (
    "default-src 'self'; script-src 'self'; worker-src 'self' blob:; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data: blob:{foreign}; connect-src 'self'{foreign}; object-src 'none'; base-uri 'none';"
    " form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".geojson": "application/geo+json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


class _File(NamedTuple):
    content: bytes
    packed: bytes | None
    etag: str


@cache
def _files() -> dict[str, _File]:
    """All that lies in `static/`, packed once in the life of a process."""
    found = {}
    for path in (each for each in STATIC.rglob("*") if each.is_file()):
        content = path.read_bytes()
        packed = gzip.compress(content, 6) if len(content) > _WORTH_PACKING else None
        etag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
        found[str(path.relative_to(STATIC))] = _File(content, packed, etag)
    return found


def routes(access: ConsoleAccess) -> list[Route]:
    """What an application mounts; files are read and packed once. They hold no data: where people sign in, all may have
    them.

    Args:
        access: who may see the page where nobody signs in.

    Returns:
        The routes of PATHS and of /static.
    """
    files = _files()
    foreign = "".join(f" {origin}" for origin in access.settings.foreign_origins)
    kept = {**_HEADERS, "content-security-policy": _POLICY.format(foreign=foreign)}

    def _file(request: Request, name: str) -> Response:
        file = files[name]
        headers = {**kept, "etag": file.etag, "cache-control": "no-cache", "vary": "accept-encoding"}
        if request.headers.get("if-none-match") == file.etag:
            return Response(status_code=304, headers=headers)
        media_type = _TYPES[Path(name).suffix]
        if file.packed and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(file.packed, headers={**headers, "content-encoding": "gzip"}, media_type=media_type)
        return Response(file.content, headers=headers, media_type=media_type)

    def shown(endpoint: Endpoint) -> Endpoint:
        return endpoint if access.settings.is_open_elsewhere else access.viewer(endpoint)

    async def page(request: Request) -> Response:
        return _file(request, "index.html")

    async def static(request: Request) -> Response:
        name = request.path_params["name"]
        return _file(request, name) if name in files else Response(status_code=404)

    return [
        *(Route(path, shown(page), methods=["GET"]) for path in PATHS),
        Route("/static/{name:path}", shown(static), methods=["GET"]),
    ]
