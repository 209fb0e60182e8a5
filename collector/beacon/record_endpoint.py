"""`POST /v1/clicks` and `POST /v1/telemetry`: one record or a batch in, a receipt for each out."""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from json.encoder import encode_basestring_ascii
from typing import NoReturn

from starlette.types import Receive, Scope, Send

from collector.beacon.admission import Admission
from collector.beacon.anonymous_events import NO_EVENT_ID, PREFIX, AnonymousEvents
from collector.beacon.browser_cookie import BrowserCookie
from collector.beacon.enrichment import Enrichment
from collector.beacon.http import Disconnected, header, read_body, reply, send_refusal
from collector.beacon.http import encode as _encode
from collector.beacon.posted_records import Form, read
from collector.beacon.writer_bridge import Durable
from contract.http_access import Network, client_address, is_local
from contract.http_refusals import Headers, RequestRefused
from contract.ingest_items import NOTHING_SEEN, Item, Receipt
from contract.source_limiter import SourceLimiter
from contract.source_log import SourceLog

log = logging.getLogger(__name__)

Clock = Callable[[], int]

_EXPOSED: Headers = ((b"access-control-expose-headers", b"Retry-After"),)
_PREFLIGHT: Headers = (
    (b"access-control-allow-methods", b"POST"),
    (b"access-control-allow-headers", b"Content-Type"),
    (b"access-control-max-age", b"86400"),
)
_BROWSERS_OWN = (b"text/plain", b"application/x-www-form-urlencoded", b"multipart/form-data")
"""Content types that a page of any site may send without asking (the Fetch standard's "CORS-safelisted")."""

_REFUSALS_PER_SECOND = 0.2
_REFUSALS_AT_ONCE = 20


class Keys:
    """Bearer keys bound to trucks. A key is looked up by its SHA-256, so the time it takes tells nothing of any key.

    Args:
        keys: key → truck_id; empty: the truck is not vouched for.
        trusted: proxies whose client address is believed.
        retired: whether a truck's key counts no more.
    """

    def __init__(
        self, keys: Mapping[str, str], trusted: Sequence[Network] = (), *, retired: Callable[[str], bool] | None = None
    ) -> None:
        self._trucks = {hashlib.sha256(key.encode()).digest(): truck_id for key, truck_id in keys.items()}
        self._trusted = trusted
        self._retired = retired or (lambda _: False)
        self._refusals = SourceLimiter(_REFUSALS_PER_SECOND, _REFUSALS_AT_ONCE)
        self._told = SourceLog(log)

    def truck(self, scope: Scope) -> str | None:
        """The truck that the request's key vouches for, None where no keys are configured.

        Raises:
            Refused: 401 for no key or a wrong one, 429 after too many of them; where there are no keys, 403 for a
                request from elsewhere, and 403 or 415 for what a page of any site could have sent.
        """
        if not self._trucks:
            _refuse_others(scope)
            _refuse_pages(scope)
            return None
        scheme, _, key = (header(scope, b"authorization") or b"").partition(b" ")
        truck_id = self._trucks.get(hashlib.sha256(key.strip()).digest()) if scheme.lower() == b"bearer" else None
        if truck_id is None or self._retired(truck_id):
            self._refuse(scope)
        return truck_id

    def rejected(self, scope: Scope, field: str | None) -> None:
        """Log who sent a sample that was rejected, and for which of its fields."""
        self._told.tell("sample_rejected", self._source(scope), f"field={field!r}")

    def _source(self, scope: Scope) -> str:
        client = scope.get("client")
        return client_address(client[0] if client else None, scope["headers"], self._trusted) or "unknown"

    def _refuse(self, scope: Scope) -> NoReturn:
        source = self._source(scope)
        if seconds := self._refusals.wait(source):
            wait = b"%d" % max(1, round(seconds + 0.5))
            raise RequestRefused(429, "too many wrong keys from this address", headers=[(b"retry-after", wait)])
        self._told.tell("telemetry_key_refused", source)
        raise RequestRefused(
            401,
            "send `Authorization: Bearer KEY` with the key of this truck, as in [beacon] telemetry_keys",
            field="Authorization",
            headers=[(b"www-authenticate", b"Bearer")],
        )


def _refuse_others(scope: Scope) -> None:
    """Without keys only this machine itself may say what a truck measured."""
    client = scope.get("client")
    if not is_local(client[0] if client else None, scope["headers"]):
        raise RequestRefused(
            403, "from another machine or through a proxy this needs a key of [beacon] telemetry_keys: set them"
        )


def _refuse_pages(scope: Scope) -> None:
    """Without keys, a page in a browser on this machine could write here: what only programs send is demanded."""
    if header(scope, b"origin") is not None or header(scope, b"sec-fetch-site") not in (None, b"none"):
        raise RequestRefused(
            403, "web pages may not send telemetry: a program sends it without an Origin", field="Origin"
        )
    media = (header(scope, b"content-type") or b"").partition(b";")[0].strip().lower()
    if media in _BROWSERS_OWN:
        raise RequestRefused(415, "send it as `Content-Type: application/json`", field="Content-Type")


class Records:
    """One door, as an ASGI application.

    The content type of clicks is not looked at: a browser's beacon says text/plain, curl says a form, and the bytes are
    JSON or they are not.

    Args:
        form: which door it is.
        durable: the way to the writer.
        keys: who may post for which truck; None where records are of no truck.
        admission: who may send how much, None for no limit.
        anonymous: gives an identity to events that bring none, None where records have one anyway.
        enrichment: looks at who sends, None where that is of no interest.
        cookie: recognises browsers, None where it does not.
        clock: Unix milliseconds.
    """

    def __init__(  # noqa: PLR0913 - what it is composed of
        self,
        form: Form,
        durable: Durable,
        *,
        keys: Keys | None,
        admission: Admission | None = None,
        anonymous: AnonymousEvents | None = None,
        enrichment: Enrichment | None = None,
        cookie: BrowserCookie | None = None,
        clock: Clock,
    ) -> None:
        self._form, self._durable, self._keys, self._admission, self._clock = form, durable, keys, admission, clock
        self._anonymous, self._enrichment, self._cookie = anonymous, enrichment, cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        cors = self._admission.cors(scope) if self._admission else ()
        if scope["method"] == "OPTIONS":
            await send({"type": "http.response.start", "status": 204, "headers": [*cors, *_PREFLIGHT]})
            await send({"type": "http.response.body"})
            return
        try:
            truck_id = self._keys.truck(scope) if self._keys else None
            body = await self._body(scope, receive)
            seen = self._enrichment.seen(scope) if self._enrichment else NOTHING_SEEN
            form = self._form
            whole = Item(form.kind, form.source, body, self._clock(), truck_id=truck_id, seen=seen)
            posted = read(form, whole, scope)
            items = posted.items
            if self._admission:
                self._admission.spend_records(scope, len(items), len(body))
            if self._anonymous:
                items = self._anonymous.identified(items, scope)
            set_cookie: Headers = ()
            if self._cookie:
                items, set_cookie = self._cookie.recognise(items, scope)
            receipts = posted.named(await self._durable.receipts(items))
            if rejected := next((it for it in receipts if it.status == "rejected"), None):
                self._tell_rejected(scope, rejected.field)
            if posted.refusal:
                raise posted.refusal
        except RequestRefused as refused:
            await send_refusal(refused, send, (*cors, *_EXPOSED) if cors else ())
        except Disconnected:
            return
        else:
            await reply(send, self._answer(receipts), headers=(*cors, *set_cookie))

    def _tell_rejected(self, scope: Scope, field: str | None) -> None:
        door = self._admission or self._keys
        if door:
            door.rejected(scope, field)

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        if self._admission is None:
            return await read_body(scope, receive)
        self._admission.admit(scope)
        body = await read_body(scope, receive)
        self._admission.spend(scope, len(body))
        return body

    def _answer(self, receipts: list[Receipt]) -> bytes:
        name = self._form.id_name
        rows = ",".join([f'{{"{name}":{_plain(it.id)},{_verdict(it)}}}' for it in receipts])
        return f'{{"receipts":[{rows}]}}'.encode("ascii")


def _verdict(receipt: Receipt) -> str:
    if receipt.status != "rejected":
        made = isinstance(receipt.id, str) and receipt.id.startswith(PREFIX)
        warnings = {**receipt.warnings, "event_id": NO_EVENT_ID} if made else dict(receipt.warnings)
        warned = f',"warnings":{_encode(warnings)}' if warnings else ""
        return f'"status":"{receipt.status}","field":null,"reason":null{warned}'
    return f'"status":"rejected","field":{_plain(receipt.field)},"reason":{_plain(receipt.reason)}'


def _plain(value: str | int | None) -> str:
    """JSON of a plain value; json's own encoder builds itself anew for every call, which takes as long as all else."""
    return encode_basestring_ascii(value) if isinstance(value, str) else "null" if value is None else str(value)
