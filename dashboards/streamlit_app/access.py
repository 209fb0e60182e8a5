"""Who may see the pages: this machine itself, and elsewhere only whom the identity provider knows."""

import json

from starlette.types import ASGIApp, Receive, Scope, Send

from contract.http_access import is_local

_REFUSED = (
    "the dashboard answers only requests of this machine itself: open it there or through an SSH tunnel, or configure"
    " sign-in ([auth] in .streamlit/secrets.toml, docs/dashboards.md)"
)


class LocalOrSignedIn:
    """ASGI middleware: refuses what is not local, unless the pages themselves demand a sign-in.

    Args:
        app: what answers.
        sign_in: whether an identity provider is configured; then a page shows nothing before `st.login`.
    """

    def __init__(self, app: ASGIApp, *, sign_in: bool) -> None:
        self._app, self._sign_in = app, sign_in

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or self._sign_in or _local(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            body = json.dumps({"error": _REFUSED}).encode()
            headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": body})


def _local(scope: Scope) -> bool:
    peer = scope["client"][0] if scope.get("client") else None
    return is_local(peer, scope["headers"])
