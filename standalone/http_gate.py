"""What a request from elsewhere may reach on one machine, and what a web page may do to it.

Whoever sits at this machine needs no password here, so two kinds of request are kept apart from his own: those that
come from elsewhere, also through a reverse proxy on this machine, and those that his browser makes for a page of
another site (contract.http_access.is_local says how they are told apart).
"""

from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from collector.beacon.http import send_refusal
from contract.http_access import is_local
from contract.http_refusals import RequestRefused

PUBLIC = frozenset({"/v1/clicks", "/v1/pixel.gif", "/v1/recommendations", "/beacon.js", "/healthz"})
"""What everybody may reach: what a shop's page needs, and a bare status."""

_OWN_KEYS = ("/v1/",)
"""Doors that judge each request themselves, by a key."""

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class HttpGate:
    """An ASGI application before another one.

    Args:
        app: what it guards.
        own_sign_in: paths, or prefixes that end in *, that demand a password or a key themselves of a request that is
            not local.
        public: paths that everybody may reach besides PUBLIC.
    """

    def __init__(self, app: ASGIApp, own_sign_in: Sequence[str] = (), public: Iterable[str] = ()) -> None:
        self._app, self._public = app, PUBLIC.union(public)
        self._judged = frozenset(each for each in own_sign_in if not each.endswith("*"))
        self._judged_under = (*_OWN_KEYS, *(each.removesuffix("*") for each in own_sign_in if each.endswith("*")))
        self.refused = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in self._public and (refused := self._refusal(scope)):
            self.refused += 1
            await send_refusal(refused, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> RequestRefused | None:
        if scope["method"] not in _SAFE_METHODS and _of_another_site(scope):
            return RequestRefused(403, "a page of another site may not do this", field="Origin")
        if scope["path"] in self._judged or scope["path"].startswith(self._judged_under):
            return None
        client = scope.get("client")
        if is_local(client[0] if client else None, scope["headers"]):
            return None
        return RequestRefused(
            403,
            f"{scope['path'][:100]} is for this machine itself, by http://localhost: from elsewhere use an SSH tunnel, "
            "or set up sign-in (docs/console.md)",
        )


def _of_another_site(scope: Scope) -> bool:
    """Whether a browser made it for a page that this address did not serve."""
    host, origin, fetched = b"", None, b"none"
    for name, value in scope["headers"]:
        if name == b"host":
            host = value
        elif name == b"origin":
            origin = value
        elif name == b"sec-fetch-site":
            fetched = value
    if fetched in (b"cross-site", b"same-site"):
        return True
    if origin is None:
        return False
    try:
        return bool(urlsplit(origin.decode("latin-1")).netloc.lower() != host.decode("latin-1").lower())
    except ValueError:  # an address that is none
        return True
