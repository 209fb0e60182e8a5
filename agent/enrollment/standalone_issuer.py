"""The box's office: `POST /v1/enroll` over TLS, trusting the CA of the enrolment file and nobody else."""

import http.client
import json
import ssl
from typing import Any
from urllib.parse import urlsplit

from agent.enrollment import Advice, Granted
from agent.enrollment.csr import sign
from contract.errors import Misconfigured, Rejected, Unreachable

_TIMEOUT = 15.0
_MAX_ANSWER = 64 * 1024
_RENEW, _CONFIRM = b"milepost-renew\n", b"milepost-confirm\n"


class HttpsOffice:
    """One box. token: of the enrolment file; needed only by `enrol`."""

    def __init__(self, url: str, ca: str, *, token: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise Misconfigured(f"{url!r} must be https:// and a host: ask for a new enrolment file")
        self._url, self._host, self._port = url, parts.hostname, parts.port or 443
        self._token = token
        try:
            self._tls = ssl.create_default_context(cadata=ca)
        except ssl.SSLError:
            raise Misconfigured("the CA of the enrolment file is not a certificate: ask for a new one") from None

    def enrol(self, csr: str) -> Granted:
        """The first certificate, for the token."""
        if not self._token:
            raise Misconfigured("the enrolment file has no token: ask for a new one")
        return _granted(self._post({"token": self._token, "csr": csr}))

    def renew(self, csr: str, *, certificate: str, key: bytes) -> Granted:
        """A certificate for a new key; the request is signed with the present one."""
        signature = sign(key, _RENEW + csr.encode("ascii"))
        return _granted(self._post({"certificate": certificate, "csr": csr, "signature": signature}))

    def confirm(self, *, certificate: str, key: bytes) -> Advice:
        """The box revokes the truck's other certificates."""
        answer = self._post({"certificate": certificate, "signature": sign(key, _CONFIRM)})
        return Advice(_text(answer.get("ca")), answer.get("renew") is True, _text(answer.get("command_key")))

    def _post(self, document: dict[str, str]) -> dict[str, Any]:
        connection = http.client.HTTPSConnection(self._host, self._port, timeout=_TIMEOUT, context=self._tls)
        try:
            body = json.dumps(document).encode("ascii")
            connection.request("POST", "/v1/enroll", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = response.read(_MAX_ANSWER)
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"{self._url} cannot be reached: {error}; try again") from None
        finally:
            connection.close()
        return _judged(self._url, response.status, answer)


def _judged(url: str, status: int, answer: bytes) -> dict[str, Any]:
    try:
        document = json.loads(answer)
    except ValueError:
        document = {}
    if status == 200 and isinstance(document, dict):
        return document
    reason = document.get("error") if isinstance(document, dict) else None
    if status in (400, 403):
        raise Rejected("", f"{url}: {reason or status}")
    raise Unreachable(f"{url} answered {status}: {reason or 'no reason'}; try again")


def _granted(document: dict[str, Any]) -> Granted:
    truck_id, certificate = document.get("truck_id"), document.get("certificate")
    if not isinstance(truck_id, str) or not isinstance(certificate, str):
        raise Unreachable("the box's answer holds no certificate: is the url that of /v1/enroll?")
    return Granted(truck_id, certificate, _text(document.get("ca")), _text(document.get("command_key")))


def _text(value: object) -> str | None:
    """A box of the release before sends none."""
    return value if isinstance(value, str) and value else None
