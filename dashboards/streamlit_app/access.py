"""Who may see the pages: this machine itself, and elsewhere who has signed in.

A sign-in is by the console's password file (`milepost console user NAME`), or by an identity provider that Streamlit
itself asks (`[auth]` in .streamlit/secrets.toml). A viewer sees no page that tells where trucks were.
"""

import json
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from contract import password_file
from contract.http_access import Network, client_address, is_local
from contract.sign_in_sessions import SignInSessions

COOKIE = "milepost_dashboard"
HOW = "x-milepost-signed-in"
"""The header by which the pages learn how somebody was let in: "local", "session" or "provider". Never a caller's."""
How = Literal["local", "session", "provider"]
_MOST_BYTES = 4_096
_REFUSED = (
    "the dashboard answers only requests of this machine itself: open it there or through an SSH tunnel, or set up"
    " sign-in (docs/dashboards.md)"
)
_FORM = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Milepost: sign in</title>
<meta name="viewport" content="width=device-width"><style>
body{{font:16px system-ui,sans-serif;display:grid;place-items:center;min-height:90vh;margin:0;color:#222}}
form{{display:grid;gap:.8rem;width:min(20rem,90vw)}} label{{display:grid;gap:.2rem}}
input,button{{font:inherit;padding:.5rem;border:1px solid #888;border-radius:4px}}
button{{background:#0072B2;color:#fff;border:0}} p{{color:#b00020;margin:0}}</style>
<form method="post" action="/sign-in"><h1>Milepost</h1>{said}
<label>Name<input name="name" autocomplete="username" required autofocus></label>
<label>Password<input name="password" type="password" autocomplete="current-password" required></label>
<button>Sign in</button></form></html>"""
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
}


class LocalOrSignedIn:
    """ASGI middleware: lets in requests of this machine and of who has signed in, and has a page to sign in.

    Args:
        app: what answers.
        provider: whether an identity provider is configured; then the pages show nothing before `st.login`.
        users: the console's password file, None where nobody signs in by one.
        sessions: who has.
        trusted: networks of proxies whose word about the client's address is believed.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        provider: bool,
        users: Path | None,
        sessions: SignInSessions,
        trusted: tuple[Network, ...] = (),
    ) -> None:
        self._app, self._provider, self._users = app, provider, users
        self._sessions, self._trusted = sessions, trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        asked = HTTPConnection(scope)
        if scope["path"] in ("/sign-in", "/sign-out") and scope["type"] == "http" and self._users:
            await (await self._sign(Request(scope, receive)))(scope, receive, send)
        elif how := self._let_in(asked):
            headers = [each for each in scope["headers"] if each[0] != HOW.encode()]
            await self._app({**scope, "headers": [*headers, (HOW.encode(), how.encode())]}, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif self._users:
            await RedirectResponse("/sign-in", 303, {"cache-control": "no-store"})(scope, receive, send)
        else:
            body = json.dumps({"error": _REFUSED})
            await Response(body, 403, media_type="application/json")(scope, receive, send)

    def _let_in(self, asked: HTTPConnection) -> How | None:
        if is_local(_peer(asked), asked.headers.raw):
            return "local"
        if self._users and self._sessions.find(asked.cookies.get(COOKIE, "")):
            return "session"
        return "provider" if self._provider else None

    async def _sign(self, asked: Request) -> Response:
        answer: Response
        if asked.url.path == "/sign-out":
            self._sessions.end(asked.cookies.get(COOKIE, ""))
            answer = RedirectResponse("/sign-in", 303)
            answer.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=True)
            return answer
        if asked.method != "POST":
            return _form()
        if urlsplit(asked.headers.get("origin", "")).netloc != asked.headers.get("host"):
            return _form(403, "Another site sent this.")
        if not self._sessions.may_try(client_address(_peer(asked), asked.headers.raw, self._trusted)):
            return _form(429, "Too many tries: wait a minute.")
        body = b""
        async for chunk in asked.stream():
            body += chunk
            if len(body) > _MOST_BYTES:
                return _form(413, "That is too long.")
        said = parse_qs(body.decode("utf-8", "replace"))
        name, password = (said.get(each, [""])[0] for each in ("name", "password"))
        user = await run_in_threadpool(password_file.check, Path(self._users or ""), name, password)
        if user is None:
            return _form(401, "Name or password is wrong.")
        answer = RedirectResponse("/", 303)
        answer.set_cookie(COOKIE, self._sessions.begin(user), httponly=True, samesite="strict", secure=True)
        return answer


def _peer(asked: HTTPConnection) -> str | None:
    return asked.client.host if asked.client else None


def _form(status: int = 200, said: str = "") -> Response:
    return HTMLResponse(_FORM.format(said=f"<p role=alert>{said}</p>" if said else ""), status, _HEADERS)
