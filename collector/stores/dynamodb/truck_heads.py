"""A truck's head item: within one write unit, with the ledgers of its live streams inside as long as they fit.

A stream's ledger stands in the head or in an item of its own, never in both. It moves out when it has more than
MOST_RANGES ranges or the head grows over a kilobyte, the one that was silent longest first; it comes back when it has
few ranges again. Whatever moves or is new is conditioned on what the other place holds.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from collector.completeness.ledger import StreamLedger
from collector.history import Version
from collector.stores import Change, TruckHead
from collector.stores.dynamodb.items import (
    Item,
    number,
    part_key,
    size,
    text,
    tracked_key,
)
from collector.stores.dynamodb.ledger_items import ledger_items, ledger_text, piece_count, read_ledger

HEAD = "head"
MOST_RANGES = 16
_FEW_RANGES = 8
_MOST_TEXT = 600
_ONE_UNIT = 1024
_INSIDE = 2  # streams; more are of buffer files that are closed


@dataclass(frozen=True, slots=True)
class Kept:
    """What the store knows of a head beside what everyone knows. inline: stream_id → ledger in the head. outside:
    stream_id → `rev` of its own item, of those that were asked for. pieces: stream_id → how many items those have.
    sample: the body of the sample at `latest`, None where it did not fit."""

    inline: Mapping[str, str] = field(default_factory=dict)
    outside: Mapping[str, int] = field(default_factory=dict)
    pieces: Mapping[str, int] = field(default_factory=dict)
    sample: Item | None = None


def kept_of(head: TruckHead) -> Kept:
    """Nothing is kept of a head that was not read: it can only be that of a new truck."""
    return head.more if isinstance(head.more, Kept) else Kept()


def read_head(item: Item | None, outside: Mapping[str, Item], streams: Iterable[str]) -> TruckHead:
    """outside: the items of those streams asked for that are not in the head, where there are any."""
    inline = {stream_id: each["S"] for stream_id, each in item["ledgers"]["M"].items()} if item else {}
    stored = {stream_id: text(each) for stream_id, each in inline.items()}
    stored |= {stream_id: each["ledger"] for stream_id, each in outside.items()}
    ledgers = {each: read_ledger(stored[each]) if each in stored else StreamLedger() for each in streams}
    revs = {stream_id: int(each["rev"]["N"]) for stream_id, each in outside.items()}
    pieces = {stream_id: piece_count(each) for stream_id, each in outside.items()}
    if item is None:
        return TruckHead(ledgers=ledgers, more=Kept(outside=revs, pieces=pieces))
    current = None
    if "current" in item:
        current = Version(item["current"]["S"], tracked_key({**item, "order_key": item["current"]}), None)
    latest = item["latest"]["S"] if "latest" in item else ""
    kept = Kept(inline, revs, pieces, item["sample"]["M"] if "sample" in item else None)
    return TruckHead(latest, current, int(item["rev"]["N"]), ledgers, kept)


@dataclass(frozen=True, slots=True)
class Written:
    """A head to write. ledgers: stream_id → the items of a ledger that has its own, None to delete those.
    absent: streams that must have no item of their own."""

    item: Item
    head: TruckHead
    ledgers: Mapping[str, Sequence[Item] | None]
    absent: tuple[str, ...]


def write_head(truck_id: str, read: TruckHead, change: Change, *, rev: int, bodies: Mapping[str, Item]) -> Written:
    """The head after a change. bodies: order key → body, of samples at hand."""
    latest, current = max(read.latest, change.latest), change.steps.current or read.current
    kept = kept_of(read)
    body = bodies.get(latest) or (kept.sample if latest == read.latest else None)
    inline, ledgers, absent = _place(kept, change.ledgers)
    while True:
        item = _item(truck_id, rev, latest, current)
        item["ledgers"] = {"M": {stream_id: text(each) for stream_id, each in inline.items()}}
        holes = sum(len(read_ledger(text(each)).holes) for each in inline.values())
        if holes:
            item["holes"] = number(holes)
        if body and size(item) + size(body) + 10 <= _ONE_UNIT:
            item["sample"] = {"M": body}
        spilled = _silent_longest(inline, change.ledgers)
        if spilled is None or (size(item) <= _ONE_UNIT and len(inline) <= _INSIDE):
            break
        ledgers[spilled] = read_ledger(text(inline.pop(spilled)))
        absent.discard(spilled)
    written = {
        stream_id: None if each is None else ledger_items(truck_id, stream_id, each, rev)
        for stream_id, each in ledgers.items()
    }
    outside = {stream_id: rev for stream_id, each in ledgers.items() if each is not None}
    unchanged = {stream_id: was for stream_id, was in kept.outside.items() if stream_id not in ledgers}
    pieces = {**kept.pieces, **{stream_id: len(each or ()) for stream_id, each in written.items()}}
    now = Kept(inline, {**unchanged, **outside}, pieces, item["sample"]["M"] if "sample" in item else None)
    head = TruckHead(latest, current, rev, {**read.ledgers, **change.ledgers}, now)
    return Written(item, head, written, tuple(sorted(absent)))


def _item(truck_id: str, rev: int, latest: str, current: Version | None) -> Item:
    item = {**part_key(truck_id, HEAD), "rev": number(rev)}
    if latest:
        item["latest"] = text(latest)
    if current:
        item["current"] = text(current.order_key)
        if current.key != current.order_key:
            item["key"] = text(current.key)
    return item


_Placed = tuple[dict[str, str], dict[str, StreamLedger | None], set[str]]


def _place(kept: Kept, changed: Mapping[str, StreamLedger]) -> _Placed:
    """Where each changed ledger goes: (in the head, in items of their own, in the head for the first time)."""
    inline = dict(kept.inline)
    ledgers: dict[str, StreamLedger | None] = {}
    absent: set[str] = set()
    for stream_id, ledger in changed.items():
        outside = stream_id in kept.outside
        crowded = _ranges(ledger) > (_FEW_RANGES if outside else MOST_RANGES)
        stored = "" if crowded else ledger_text(ledger)
        if crowded or len(stored) > _MOST_TEXT:
            inline.pop(stream_id, None)
            ledgers[stream_id] = ledger
            continue
        if outside:
            ledgers[stream_id] = None
        elif stream_id not in inline:
            absent.add(stream_id)
        inline[stream_id] = stored
    return inline, ledgers, absent


def _ranges(ledger: StreamLedger) -> int:
    return len(ledger.accounted.pairs) + len(ledger.conflicts.pairs) + len(ledger.pending.pairs)


def _silent_longest(inline: Mapping[str, str], changed: Mapping[str, StreamLedger]) -> str | None:
    """The stream whose ledger to move out first; the last one stays, whatever its size."""
    others = [stream_id for stream_id in inline if stream_id not in changed]
    if not others and len(inline) < 2:
        return None
    return min(others or sorted(inline)[:-1], key=lambda stream_id: read_ledger(text(inline[stream_id])).heard_ms)
