"""A door's items into a stream, and the receipts that can be given before anybody has taken them out again.

A record that is judged wrong goes into the stream like the others, whose consumer dead-letters it; the receipt tells
its field and reason at once. A duplicate is not known here.
"""

from itertools import accumulate

from collector.ingest.stream_records import records_of_items
from collector.ingest.validation import Refusal, judge
from collector.streams import Stream
from contract.click_records import ClickEvent
from contract.errors import Rejected
from contract.ingest_items import Item, Receipt
from contract.records import Sample


def put_items(stream: Stream, items: list[Item]) -> list[Receipt]:
    """Items of one kind into the stream; a receipt each. Raises Retryable and Unreachable, then nothing counts.

    Args:
        stream: where they go.
        items: in the order in which they are to lie there for each key.

    Returns:
        A receipt for each, in order; an item that the stream does not take is `rejected`.
    """
    packed = list(records_of_items(items))
    refused = stream.put([record for record, _ in packed])
    receipts = [_receipt(item) for item in items]
    ends = accumulate(count for _, count in packed)
    for (_, count), end, fault in zip(packed, ends, refused, strict=True):
        if fault is not None:
            receipts[end - count : end] = [_refusal(fault)] * count
    return receipts


def _receipt(item: Item) -> Receipt:
    verdict = judge(item)
    if isinstance(verdict, Refusal):
        return Receipt("rejected", verdict.id, verdict.letter.field or None, verdict.letter.reason)
    if isinstance(verdict, Sample):
        return Receipt("accepted", verdict.seq)
    if isinstance(verdict, ClickEvent):
        return Receipt("accepted", verdict.event_id, warnings=verdict.warnings)
    return Receipt("accepted")


def _refusal(fault: Rejected) -> Receipt:
    return Receipt("rejected", None, fault.field or None, fault.reason)
