"""Who may see the console, and what of it.

A request of this machine itself is an operator's (contract.http_access.is_local says which that are). From elsewhere
somebody must have signed in, or come through an authenticating proxy that is trusted, or have a read key. A viewer sees
the present; where trucks were, and everything that changes something, is for operators: a driver's past ways are his.
"""

import hmac
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from console.settings import ConsoleSettings
from contract.codec import dump
from contract.http_access import Network, client_address, is_local, is_within
from contract.password_file import ROLES, Role, User
from contract.sign_in_sessions import SignInSessions

COOKIE = "milepost_session"
OWN_HEADER = "x-milepost"
"""Every request that changes something carries it: no form of another site can."""

Endpoint = Callable[[Request], Awaitable[Response]]


class Visitor(NamedTuple):
    """Who asks. is_local: somebody at this machine, who has not signed in."""

    name: str
    role: Role
    is_local: bool = False


class ConsoleAccess:
    """Guards endpoints, and keeps who is signed in. Sessions end with the process.

    Args:
        settings: the `[console]` table.
        trusted: `[http] trusted_proxies`.
        sessions: who is signed in; in memory unless given.
        knows_local: whether requests of this machine itself need nothing; not where everybody comes from elsewhere.
    """

    def __init__(
        self,
        settings: ConsoleSettings,
        trusted: Sequence[Network] = (),
        *,
        sessions: SignInSessions | None = None,
        knows_local: bool = True,
    ) -> None:
        self.settings, self._trusted, self._knows_local = settings, trusted, knows_local
        self._sessions = sessions or SignInSessions(settings.session_hours)

    def identity(self, request: Request) -> Visitor | None:
        """Who asks: whoever is on this machine, a proxy's user, a key's owner, or who signed in, in this order.

        Args:
            request: with its peer, headers and cookies.

        Returns:
            None for a stranger.
        """
        peer = request.client.host if request.client else None
        if self._knows_local and is_local(peer, request.headers.raw):
            return Visitor("local", "operator", is_local=True)
        return self._by_proxy(peer, request) or self._by_key(request) or self._by_session(request)

    def viewer(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint for viewers and operators.

        Args:
            endpoint: what answers them.

        Returns:
            An endpoint that answers others 401 or 403.
        """
        return self._guarded(endpoint, "viewer")

    def operator(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint for operators only.

        Args:
            endpoint: what answers them.

        Returns:
            An endpoint that answers others 401 or 403.
        """
        return self._guarded(endpoint, "operator")

    def viewer_of_now(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint for viewers while they ask for the present; with `at` or `known_at` for operators.

        Args:
            endpoint: what answers them.

        Returns:
            An endpoint that answers others 401 or 403.
        """
        past = self._guarded(endpoint, "operator")
        present = self._guarded(endpoint, "viewer")

        async def answer(request: Request) -> Response:
            asks_past = request.query_params.get("at") or request.query_params.get("known_at")
            return await (past if asks_past else present)(request)

        return answer

    def may_try(self, request: Request) -> bool:
        """Whether the request's address may try another password now: ten a minute. The try is counted.

        Args:
            request: by whose client address it is counted, as `[http] trusted_proxies` say it.

        Returns:
            False from the eleventh on.
        """
        peer = request.client.host if request.client else None
        return self._sessions.may_try(client_address(peer, request.headers.raw, self._trusted))

    def begin(self, user: User) -> str:
        """Begin a session.

        Args:
            user: whose.

        Returns:
            What its cookie says.
        """
        return self._sessions.begin(user)

    def end(self, request: Request) -> None:
        """Forget the request's session.

        Args:
            request: its cookie names the session; nothing happens without one.
        """
        self._sessions.end(request.cookies.get(COOKIE, ""))

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
            return "sign in first, or send a read key (docs/console.md)"
        return "the console answers only requests of this machine itself: use an SSH tunnel, or set up sign-in"

    def _by_proxy(self, peer: str | None, request: Request) -> Visitor | None:
        settings = self.settings
        if not settings.proxy_user_header or not is_within(peer or "", self._trusted):
            return None
        name = request.headers.get(settings.proxy_user_header, "")
        said = request.headers.get(settings.proxy_role_header or "", "") if settings.proxy_role_header else ""
        return Visitor(name[:100], "operator" if said == "operator" else "viewer") if name else None

    def _by_key(self, request: Request) -> Visitor | None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        found = None
        for name, key in self.settings.read_keys.items():  # each is compared, so that time tells nothing
            if hmac.compare_digest(key.encode(), given.encode()):
                found = Visitor(name, "viewer")
        return found

    def _by_session(self, request: Request) -> Visitor | None:
        found = self._sessions.find(request.cookies.get(COOKIE, ""))
        return Visitor(*found) if found else None


def refused(status: int, why: str) -> Response:
    """A refusal, as all doors write them."""
    return Response(dump({"error": why, "field": None}), status, media_type="application/json")


async def body_within(request: Request, most: int) -> bytes | None:
    """A request's body.

    Args:
        request: whose body was not read yet.
        most: bytes; no more than one piece beyond them is read.

    Returns:
        The body; None where it is larger.
    """
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > most:
            return None
    return body
