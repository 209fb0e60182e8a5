"""`POST /v1/clicks` and `POST /v1/telemetry`: one record or a batch in, a receipt for each out."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii

from starlette.types import Receive, Scope, Send

from collector.beacon.http import Disconnected, Headers, Refused, header, read_body, reply
from collector.beacon.http import encode as _encode
from collector.beacon.writer_bridge import Durable
from collector.ingest.envelope import MOST_RECORDS, unpack
from contract.codec import Json, parse
from contract.errors import Rejected
from contract.ingest_items import Item, Kind, Receipt

Clock = Callable[[], int]

ANY_ORIGIN: Headers = ((b"access-control-allow-origin", b"*"),)
_EXPOSED: Headers = (*ANY_ORIGIN, (b"access-control-expose-headers", b"Retry-After"))
_PREFLIGHT: Headers = (
    *ANY_ORIGIN,
    (b"access-control-allow-methods", b"POST"),
    (b"access-control-allow-headers", b"Content-Type"),
    (b"access-control-max-age", b"86400"),
)


@dataclass(frozen=True, slots=True)
class Form:
    """What distinguishes one kind's door: its batch key, the name of the id in a receipt, its CORS headers."""

    kind: Kind
    source: str
    noun: str
    batch_key: str
    id_name: str
    headers: Headers = ()


CLICKS = Form("click", "http:clicks", "event", "events", "event_id", ANY_ORIGIN)
TELEMETRY = Form("telemetry", "http:telemetry", "sample", "records", "seq")


class Keys:
    """Bearer keys bound to trucks. A key is looked up by its SHA-256, so the time it takes tells nothing of any key."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._trucks = {hashlib.sha256(key.encode()).digest(): truck_id for key, truck_id in keys.items()}

    def truck(self, scope: Scope) -> str | None:
        """The truck that the request's key vouches for, None where no keys are configured; Refused with 401."""
        if not self._trucks:
            return None
        scheme, _, key = (header(scope, b"authorization") or b"").partition(b" ")
        truck_id = self._trucks.get(hashlib.sha256(key.strip()).digest()) if scheme.lower() == b"bearer" else None
        if truck_id is None:
            raise Refused(
                401,
                "send `Authorization: Bearer KEY` with the key of this truck, as in [beacon] telemetry_keys",
                field="Authorization",
                headers=[(b"www-authenticate", b"Bearer")],
            )
        return truck_id


class Records:
    """One door, as an ASGI application.

    The content type is not looked at: a browser's beacon says text/plain, curl says a form, and the bytes are JSON or
    they are not.
    """

    def __init__(self, form: Form, durable: Durable, *, keys: Keys, clock: Clock) -> None:
        self._form, self._durable, self._keys, self._clock = form, durable, keys, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "OPTIONS":
            await send({"type": "http.response.start", "status": 204, "headers": list(_PREFLIGHT)})
            await send({"type": "http.response.body"})
            return
        try:
            truck_id = self._keys.truck(scope)
            items = self._items(await read_body(scope, receive), truck_id, scope)
            receipts = await self._durable.receipts(items)
        except Refused as refused:
            await refused.send(send, _EXPOSED if self._form.headers else ())
        except Disconnected:
            return
        else:
            await reply(send, self._answer(receipts), headers=self._form.headers)

    def _items(self, body: bytes, truck_id: str | None, scope: Scope) -> list[Item]:
        form = self._form
        try:
            document = parse(body)
        except Rejected as error:
            packed = header(scope, b"content-encoding")
            remedy = self._wanted if packed in (None, b"identity") else "it is compressed: send it plain"
            raise Refused(400, f"{error.reason}: {remedy}", field=error.field) from None
        self._check(document)
        # For dead letters a record's own text is cut out of its batch at once: 2.5 µs each, beside some 20 to judge
        # and store it, and by the time that the writer rejects one the request's text would otherwise be gone.
        whole = Item(form.kind, form.source, document, self._clock(), text=body.decode(), truck_id=truck_id)
        return unpack(whole) if form.batch_key in document else [whole]

    def _check(self, document: Json) -> None:
        form = self._form
        if not isinstance(document, dict):
            raise Refused(400, f"not a JSON object: {self._wanted}")
        batch = document.get(form.batch_key, [])
        if not isinstance(batch, list):
            raise Refused(400, f"not a list: {self._wanted}", field=form.batch_key)
        if len(batch) > MOST_RECORDS:
            raise Refused(413, f"over {MOST_RECORDS} {form.noun}s: send them in several requests", field=form.batch_key)

    @property
    def _wanted(self) -> str:
        return f'send one {self._form.noun} as a JSON object, or {{"{self._form.batch_key}": [...]}}'

    def _answer(self, receipts: list[Receipt]) -> bytes:
        name = self._form.id_name
        rows = ",".join([f'{{"{name}":{_plain(it.id)},{_verdict(it)}}}' for it in receipts])
        return f'{{"receipts":[{rows}]}}'.encode("ascii")


def _verdict(receipt: Receipt) -> str:
    if receipt.status != "rejected":
        warned = f',"warnings":{_encode(dict(receipt.warnings))}' if receipt.warnings else ""
        return f'"status":"{receipt.status}","field":null,"reason":null{warned}'
    return f'"status":"rejected","field":{_plain(receipt.field)},"reason":{_plain(receipt.reason)}'


def _plain(value: str | int | None) -> str:
    """JSON of a plain value; json's own encoder builds itself anew for every call, which takes as long as all else."""
    return encode_basestring_ascii(value) if isinstance(value, str) else "null" if value is None else str(value)
