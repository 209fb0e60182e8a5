"""`GET /v1/pixel.gif?…`: one shop event from a place that runs no script (a mail, a page without JavaScript)."""

import uuid
from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from collector.beacon.admission import Admission
from collector.beacon.enrichment import Enrichment
from collector.beacon.http import header, reply, send_refusal
from collector.beacon.posted_records import CLICKS
from collector.beacon.record_endpoint import Clock
from collector.beacon.writer_bridge import Durable
from contract import timestamps
from contract.click_schema import Click
from contract.codec import Json, dump, parse
from contract.errors import Rejected
from contract.http_refusals import Headers, RequestRefused
from contract.ingest_items import Item, Receipt

GIF = bytes.fromhex(
    "474946383961 0100 0100 80 00 00 000000 ffffff 21f904 01 0000 00 00 2c 0000 0000 0100 0100 00 02 02 4401 00 3b"
)
"""One transparent pixel, 43 bytes."""
_NUMBERS = frozenset({"click_count", "price", "quantity"})
_MAX_PAGE = 2048
_HEADERS: Headers = (
    (b"cache-control", b"no-store"),
    (b"cross-origin-resource-policy", b"cross-origin"),
)


class Pixel:
    """The door, as an ASGI application. HEAD and a prefetch record nothing: nobody has seen that page."""

    def __init__(self, durable: Durable, *, admission: Admission, enrichment: Enrichment, clock: Clock) -> None:
        self._durable, self._admission, self._enrichment, self._clock = durable, admission, enrichment, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = (*_HEADERS, *self._admission.cors(scope))
        if scope["method"] == "HEAD" or _is_prefetch(scope):
            await reply(send, GIF, media=b"image/gif", headers=headers)
            return
        try:
            self._admission.admit(scope, mail=True)
            receipt = await self._take(scope)
        except RequestRefused as refused:
            await send_refusal(refused, send, headers)
        else:
            if receipt.status == "rejected":
                self._admission.rejected(scope, receipt.field)
            await reply(send, GIF, media=b"image/gif", headers=[*headers, *_remarks(receipt)])

    async def _take(self, scope: Scope) -> Receipt:
        referrer = header(scope, b"referer")
        now = self._clock()
        event = read_query(scope["query_string"], referrer.decode("latin-1") if referrer else None, now)
        seen = self._enrichment.seen(scope, image=True)
        item = Item(CLICKS.kind, CLICKS.source, event, now, text=dump(event), seen=seen)
        (receipt,) = await self._durable.receipts([item])
        return receipt


def read_query(query: bytes, referrer: str | None, now_ms: int) -> dict[str, Json]:
    """The event that a query string means: known Click fields, the rest (a cache buster) ignored.

    What is missing is filled in: a fresh event_id, the arrival as timestamp, page_view, the referrer as page. Of a
    referrer only the address without its query is kept, which may hold a token or a name, and its utm_* as fields.
    """
    given = {
        key: _number(value) if key in _NUMBERS else value
        for key, value in parse_qsl(query.decode("ascii", "replace"))
        if key in Click.model_fields
    }
    filled: Mapping[str, Json] = {
        "event_id": str(uuid.uuid4()),
        "event_type": "page_view",
        "timestamp": timestamps.from_ms(now_ms),
        **(_page_of(referrer) if referrer else {}),
    }
    return {**filled, **given}


def _is_prefetch(scope: Scope) -> bool:
    """Whether a browser asks ahead, for a page that may never be shown."""
    said = b" ".join(header(scope, name) or b"" for name in (b"sec-purpose", b"purpose", b"x-moz"))
    return b"prefetch" in said.lower()


def _page_of(referrer: str) -> dict[str, Json]:
    page, _, query = referrer.partition("#")[0].partition("?")
    campaign = {key: value for key, value in parse_qsl(query) if key.startswith("utm_") and key in Click.model_fields}
    return {"page": page[:_MAX_PAGE], **campaign}


def _number(text: str) -> Json:
    """The number, or the text as it is where it is none, for ingest to reject by name."""
    try:
        value = parse(text)
    except Rejected:
        return text
    is_number = not isinstance(value, bool | str | list | dict | None)
    return value if is_number and abs(value) != float("inf") and value == value else text


def _remarks(receipt: Receipt) -> Headers:
    """Why it was rejected, or which fields were set aside."""
    if receipt.status != "rejected":
        words = "; ".join(f"{field}: {reason}" for field, reason in receipt.warnings.items())
        return ((b"x-milepost-warnings", _header_text(words)),) if words else ()
    words = f"{receipt.field}: {receipt.reason}" if receipt.field else receipt.reason or "rejected"
    return ((b"x-milepost-rejected", _header_text(words)),)


def _header_text(words: str) -> bytes:
    plain = words.encode("ascii", "backslashreplace").decode("ascii")
    return "".join(c if c.isprintable() else " " for c in plain).encode("ascii")
