"""Who may see the console, and what of it.

A request of this machine itself is an operator's (contract.http_access.is_local says which that are). From elsewhere
somebody must have signed in, or come through an authenticating proxy that is trusted, or have a read key. A viewer sees
the present; where trucks were, and everything that changes something, is for operators: a driver's past ways are his.
"""

import hmac
import secrets
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from console.settings import ConsoleSettings
from console.users import ROLES, Role
from contract.codec import dump
from contract.http_access import Network, client_address, is_local, is_within

COOKIE = "milepost_session"
OWN_HEADER = "x-milepost"
"""Every request that changes something carries it: no form of another site can."""
_MOST_SESSIONS = 1_000
_MOST_TRIES = 10
_TRY_SECONDS = 60.0

Endpoint = Callable[[Request], Awaitable[Response]]


class Identity(NamedTuple):
    """Who asks. is_local: somebody at this machine, who has not signed in."""

    name: str
    role: Role
    is_local: bool = False


class Access:
    """Guards endpoints, and keeps who is signed in. Sessions end with the process.

    Args:
        settings: the `[console]` table.
        trusted: `[http] trusted_proxies`.
    """

    def __init__(self, settings: ConsoleSettings, trusted: Sequence[Network] = ()) -> None:
        self.settings, self._trusted = settings, trusted
        self._guard = threading.Lock()
        self._sessions: dict[str, tuple[Identity, float]] = {}
        self._tries: dict[str, list[float]] = {}

    def identity(self, request: Request) -> Identity | None:
        """Who asks, None for a stranger."""
        peer = request.client.host if request.client else None
        if is_local(peer, request.headers.raw):
            return Identity("local", "operator", is_local=True)
        return self._by_proxy(peer, request) or self._by_key(request) or self._by_session(request)

    def viewer(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint for viewers and operators."""
        return self._guarded(endpoint, "viewer")

    def operator(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint for operators only."""
        return self._guarded(endpoint, "operator")

    def viewer_of_now(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint for viewers while they ask for the present; with `at` or `known_at` for operators."""
        past = self._guarded(endpoint, "operator")
        present = self._guarded(endpoint, "viewer")

        async def answer(request: Request) -> Response:
            asks_past = request.query_params.get("at") or request.query_params.get("known_at")
            return await (past if asks_past else present)(request)

        return answer

    def may_try(self, request: Request) -> bool:
        """Whether an address may try another password now: ten a minute."""
        address = client_address(request.client.host if request.client else None, request.headers.raw, self._trusted)
        now = time.monotonic()
        with self._guard:
            tries = [each for each in self._tries.pop(address, []) if now - each < _TRY_SECONDS]
            if len(self._tries) >= _MOST_SESSIONS:
                self._tries.clear()
            self._tries[address] = [*tries, now][-_MOST_TRIES - 1 :]
            return len(tries) < _MOST_TRIES

    def begin(self, identity: Identity) -> str:
        """A new session; what its cookie says."""
        token = secrets.token_urlsafe(32)
        until = time.monotonic() + self.settings.session_hours * 3600
        with self._guard:
            alive = {each: found for each, found in self._sessions.items() if found[1] > time.monotonic()}
            self._sessions = dict(list(alive.items())[-_MOST_SESSIONS + 1 :])
            self._sessions[token] = identity, until
        return token

    def end(self, request: Request) -> None:
        """Forget the request's session."""
        with self._guard:
            self._sessions.pop(request.cookies.get(COOKIE, ""), None)

    def _guarded(self, endpoint: Endpoint, role: Role) -> Endpoint:
        async def answer(request: Request) -> Response:
            identity = self.identity(request)
            if identity is None:
                return refused(401 if self.settings.is_open_elsewhere else 403, self._remedy())
            if ROLES.index(identity.role) < ROLES.index(role):
                return refused(403, f"{identity.name} is a {identity.role}: this is for operators")
            if request.method not in ("GET", "HEAD") and OWN_HEADER not in request.headers:
                return refused(403, f"the header {OWN_HEADER} is missing: a page of another site may not do this")
            request.state.identity = identity
            return await endpoint(request)

        return answer

    def _remedy(self) -> str:
        if self.settings.is_open_elsewhere:
            return "sign in first, or send a read key (docs/security.md)"
        return "the console answers only requests of this machine itself: use an SSH tunnel, or set up sign-in"

    def _by_proxy(self, peer: str | None, request: Request) -> Identity | None:
        settings = self.settings
        if not settings.proxy_user_header or not is_within(peer or "", self._trusted):
            return None
        name = request.headers.get(settings.proxy_user_header, "")
        said = request.headers.get(settings.proxy_role_header or "", "") if settings.proxy_role_header else ""
        return Identity(name[:100], "operator" if said == "operator" else "viewer") if name else None

    def _by_key(self, request: Request) -> Identity | None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        found = None
        for name, key in self.settings.read_keys.items():  # each is compared, so that time tells nothing
            if hmac.compare_digest(key.encode(), given.encode()):
                found = Identity(name, "viewer")
        return found

    def _by_session(self, request: Request) -> Identity | None:
        with self._guard:
            identity, until = self._sessions.get(request.cookies.get(COOKIE, ""), (None, 0.0))
        return identity if until > time.monotonic() else None


def refused(status: int, why: str) -> Response:
    """A refusal, as all doors write them."""
    return Response(dump({"error": why, "field": None}), status, media_type="application/json")
