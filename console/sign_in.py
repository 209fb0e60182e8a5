"""`POST /api/v1/sign-in`, `/api/v1/sign-out` and `GET /api/v1/me`."""

from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from console.access import COOKIE, OWN_HEADER, ConsoleAccess, Visitor, body_within, refused
from contract import password_file
from contract.codec import Json, dump, parse
from contract.errors import Rejected

_MOST_BYTES = 4_096


def routes(access: ConsoleAccess) -> list[Route]:
    """What an application mounts.

    Args:
        access: whose sessions are begun and ended.

    Returns:
        The routes of signing in, signing out and of who asks.
    """

    async def sign_in(request: Request) -> Response:
        if OWN_HEADER not in request.headers:
            return refused(403, f"the header {OWN_HEADER} is missing: a page of another site may not do this")
        if access.settings.users is None:
            return refused(404, "no one can sign in: set [console] users (docs/console.md)")
        if not access.may_try(request):
            return refused(429, "too many tries: wait a minute")
        said = await _credentials(request)
        if said is None:
            return refused(400, "send {name, password} as JSON")
        user = await run_in_threadpool(password_file.check, Path(access.settings.users), *said)
        if user is None:
            return refused(401, "name or password is wrong")
        token = access.begin(user)
        answer = Response(dump({"name": user.name, "role": user.role}), media_type="application/json")
        answer.set_cookie(
            COOKIE,
            token,
            max_age=int(access.settings.session_hours * 3600),
            httponly=True,
            samesite="strict",
            secure=True,
        )
        return answer

    async def sign_out(request: Request) -> Response:
        access.end(request)
        answer = Response(status_code=204)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=True)
        return answer

    async def me(request: Request) -> Response:
        identity: Visitor = request.state.identity
        said: dict[str, Json] = {"name": identity.name, "role": identity.role, "can_sign_out": not identity.is_local}
        said["poll_seconds"] = access.settings.poll_seconds
        return Response(dump(said), media_type="application/json", headers={"cache-control": "no-store"})

    return [
        Route("/api/v1/sign-in", sign_in, methods=["POST"]),
        Route("/api/v1/sign-out", access.viewer(sign_out), methods=["POST"]),
        Route("/api/v1/me", access.viewer(me), methods=["GET"]),
    ]


async def _credentials(request: Request) -> tuple[str, str] | None:
    body = await body_within(request, _MOST_BYTES)
    if body is None:
        return None
    try:
        said: Any = parse(body)
    except Rejected:
        return None
    if not isinstance(said, dict):
        return None
    name, password = said.get("name"), said.get("password")
    return (name, password) if isinstance(name, str) and isinstance(password, str) else None
