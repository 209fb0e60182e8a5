"""`POST /v1/enroll` as a bare ASGI application: unwrap, call Enrolment, answer. It serves nothing else.

Request: JSON, `{"token", "csr"}`, or `{"certificate", "csr", "signature"}` to renew, or `{"certificate", "signature"}`
to confirm, which may be repeated. Answer: 200 `{"truck_id", "certificate", "not_after", "id", "ca", "command_key"}`
(confirm: `{"revoked": n, "renew": bool, "ca", "command_key"}`; `ca`: whom to trust from now on, `command_key`: by which
commands are known, where there is one; PEM); 400 malformed; 403 denied; 413 over 32 KB;
429 with Retry-After; 503 with Retry-After. Errors are `{"error": "…"}`.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from contract.errors import MilepostError, Rejected
from provisioning.enrollment.service import Enrolment
from provisioning.errors import Denied, Throttled
from provisioning.registry import Certificate

log = logging.getLogger(__name__)

PATH = "/v1/enroll"
_MAX_BODY = 32 * 1024

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Answer = tuple[int, dict[str, Any], dict[str, str]]


class EnrolmentApp:
    """The ASGI application over one Enrolment. Signing runs in a thread, so that one slow request holds up nobody."""

    def __init__(self, enrolment: Enrolment) -> None:
        self._enrolment = enrolment

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        status, document, headers = await self._answer(scope, receive)
        body = json.dumps(document).encode("ascii") + b"\n"
        named = {"content-type": "application/json", "cache-control": "no-store", **headers}
        fields = [(name.encode("ascii"), value.encode("ascii")) for name, value in named.items()]
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        if scope["path"] != PATH:
            return 404, {"error": f"only {PATH} is served here"}, {}
        if scope["method"] != "POST":
            return 405, {"error": "POST only"}, {"allow": "POST"}
        body = await _body(receive)
        if body is None:
            return 413, {"error": f"over {_MAX_BODY} bytes"}, {}
        peer = (scope.get("client") or ("unknown",))[0]
        return await asyncio.to_thread(self._judge, body, peer)

    def _judge(self, body: bytes, peer: str) -> Answer:
        try:
            return 200, self._act(_fields(body), peer), {}
        except Throttled as error:
            return 429, {"error": str(error)}, {"retry-after": str(max(1, round(error.after + 0.5)))}
        except Denied as error:
            return 403, {"error": str(error)}, {}
        except Rejected as error:
            return 400, {"error": str(error)}, {}
        except MilepostError as error:  # the registry is gone or damaged: not for a stranger's eyes
            log.error("enrolment_failed reason=%r", str(error))
            return 503, {"error": "enrolment is not possible now: try again later"}, {"retry-after": "60"}

    def _act(self, fields: dict[str, str], peer: str) -> dict[str, Any]:
        match sorted(fields):
            case ["csr", "token"]:
                return self._certificate(self._enrolment.enrol(fields["token"], fields["csr"], peer=peer))
            case ["certificate", "csr", "signature"]:
                return self._certificate(self._enrolment.renew(**_named(fields), csr_pem=fields["csr"], peer=peer))
            case ["certificate", "signature"]:
                confirmed = self._enrolment.confirm(**_named(fields), peer=peer)
                return {**confirmed._asdict(), **self._known_by()}
        raise Rejected("", "give token and csr, or certificate, signature and csr, or certificate and signature")

    def _certificate(self, certificate: Certificate) -> dict[str, Any]:
        return {
            "truck_id": certificate.truck_id,
            "certificate": certificate.pem,
            "not_after": certificate.not_after,
            "id": certificate.id,
            **self._known_by(),
        }

    def _known_by(self) -> dict[str, Any]:
        """By what a truck is to know this box, and its operator."""
        key = self._enrolment.command_key()
        return {"ca": self._enrolment.roots(), **({"command_key": key} if key else {})}


def _named(fields: dict[str, str]) -> dict[str, str]:
    return {"certificate_pem": fields["certificate"], "signature": fields["signature"]}


def _fields(body: bytes) -> dict[str, str]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):  # not told apart: the body may hold a token
        document = None
    if not isinstance(document, dict) or not all(isinstance(value, str) for value in document.values()):
        raise Rejected("", "not a JSON object of strings")
    return document


async def _body(receive: Receive) -> bytes | None:
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b""
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > _MAX_BODY:
            return None
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks)
