"""What stands in a request's body: one record, a batch, or JSON Lines, as items for the writer.

What does not parse becomes an item of its bytes, so that it is kept as a dead letter: a line of JSON Lines costs that
line, and a body that is one document costs the request, whose refusal says where it breaks off.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from starlette.types import Scope

from collector.beacon.http import header
from collector.ingest.envelope import MOST_RECORDS, unpack
from contract.codec import parse
from contract.errors import Rejected
from contract.http_refusals import RequestRefused
from contract.ingest_items import Item, Kind, Receipt

_JSON_LINES = (b"application/x-ndjson", b"application/jsonl", b"application/x-jsonlines", b"application/jsonlines")


@dataclass(frozen=True, slots=True)
class Form:
    """What distinguishes one kind's door: its batch key, the name of the id in a receipt."""

    kind: Kind
    source: str
    noun: str
    batch_key: str
    id_name: str


CLICKS = Form("click", "http:clicks", "event", "events", "event_id")
TELEMETRY = Form("telemetry", "http:telemetry", "sample", "records", "seq")


class Posted(NamedTuple):
    """items: to be made durable. lines: the line on which each stands, of JSON Lines. refusal: the answer when the
    items, of which no receipt is given then, are durable."""

    items: list[Item]
    lines: Sequence[int] = ()
    refusal: RequestRefused | None = None

    def named(self, receipts: list[Receipt]) -> list[Receipt]:
        """The receipts, those of refused lines with the line's number."""
        if not self.lines:
            return receipts
        return [
            it._replace(reason=f"line {line}: {it.reason}") if it.status == "rejected" else it
            for it, line in zip(receipts, self.lines, strict=True)
        ]


def read(form: Form, whole: Item, scope: Scope) -> Posted:
    """The items of a request.

    Args:
        form: which door.
        whole: the request as one item, its record the bytes of the body.
        scope: of the request.

    Returns:
        At most MOST_RECORDS items, and how to answer.

    Raises:
        RequestRefused: there is nothing to keep: an empty body, too many records, a batch that is no list.
    """
    body: bytes = whole.record
    try:
        document = parse(body)
    except Rejected as error:
        if lines := _lines(body, header(scope, b"content-type") or b""):
            return _of_lines(form, whole, lines)
        packed = header(scope, b"content-encoding")
        remedy = _wanted(form) if packed in (None, b"identity") else "it is compressed: send it plain"
        refusal = RequestRefused(400, f"{error.reason}: {remedy}", field=error.field)
        if not body:
            raise refusal from None
        return Posted([whole], refusal=refusal)
    if not isinstance(document, dict):
        return Posted([whole], refusal=RequestRefused(400, f"not a JSON object: {_wanted(form)}"))
    batch = document.get(form.batch_key, [])
    if not isinstance(batch, list):
        raise RequestRefused(400, f"not a list: {_wanted(form)}", field=form.batch_key)
    if len(batch) > MOST_RECORDS:
        raise _too_many(form)
    whole = whole._replace(record=document, text=body.decode())
    return Posted(unpack(whole) if form.batch_key in document else [whole])


def _lines(body: bytes, media: bytes) -> list[tuple[int, bytes]]:
    """The lines of JSON Lines with their numbers; none where the body is a single document that does not parse.

    Said by its content type, or seen: the first and the last line are meant as objects, and one of all is one.
    """
    lines = [(number, line) for number, line in enumerate(body.splitlines(), 1) if line.strip()]
    if len(lines) < 2:
        return []
    if media.partition(b";")[0].strip().lower() in _JSON_LINES:
        return lines
    ends = lines[0][1].lstrip()[:1] + lines[-1][1].lstrip()[:1]
    return lines if ends == b"{{" and any(map(_is_object, (line for _, line in lines))) else []


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(parse(line), dict)
    except Rejected:
        return False


def _of_lines(form: Form, whole: Item, lines: Sequence[tuple[int, bytes]]) -> Posted:
    items: list[Item] = []
    numbers: list[int] = []
    for number, line in lines:
        found = unpack(whole._replace(record=line))
        items += found
        numbers += [number] * len(found)
    if len(items) > MOST_RECORDS:
        raise _too_many(form)
    return Posted(items, numbers)


def _too_many(form: Form) -> RequestRefused:
    return RequestRefused(413, f"over {MOST_RECORDS} {form.noun}s: send them in several requests", field=form.batch_key)


def _wanted(form: Form) -> str:
    return f'send one {form.noun} as a JSON object, {{"{form.batch_key}": [...]}}, or one on each line'
