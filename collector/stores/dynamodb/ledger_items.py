"""A stream's ledger as attributes: text in a truck's head, packed columns in an item of its own.

A head has few ranges and is read by people. A ledger in an item of its own may have thousands of ranges and holes, and
an item may have 400 KB and costs a write unit for each kilobyte. There, ranges are differences between their numbers,
holes are columns of differences, and all of it is deflated: what thinning leaves (every n-th number, whatever the n)
repeats itself and takes almost nothing. What is still too large for one item (some 40,000 holes at random, or more) is
cut into pieces, of which each has an item: all are written in one act, and have the `rev` of that act.
"""

import json
from collections.abc import Iterable, Sequence
from itertools import accumulate, chain, pairwise
from typing import Any

from collector.completeness.ledger import StreamLedger
from collector.stores.dynamodb.items import Item, number, pack, part_key, unpack

LEDGER, PIECE = "ledger#", "piece#"
_MOST_BYTES = 350_000

_RANGES = ("received", "thinned", "gone", "dead_lettered", "conflicts", "pending")


def ledger_text(ledger: StreamLedger) -> str:
    """The form of a head's ledger."""
    return json.dumps(ledger.as_json(), separators=(",", ":"))


def packed_ledger(ledger: StreamLedger) -> Item:
    """The form of a ledger in an item of its own; `read_ledger` reads both."""
    said = ledger.as_json()
    ranges = {name: _differences(chain.from_iterable(said[name])) for name in _RANGES if name in said}
    holes = said["holes"]
    columns = [
        _differences(chain.from_iterable(hole[:2] for hole in holes)),
        *(_differences(hole[place] for hole in holes) for place in (2, 3, 4)),
        [int(hole[5]) for hole in holes],
    ]
    return pack(json.dumps({**said, **ranges, "holes": columns}, separators=(",", ":")).encode())


def read_ledger(value: Item) -> StreamLedger:
    """From the attribute that holds a ledger in either form."""
    if "S" in value:  # a head's; before release 0.2 also that of an item of its own
        return StreamLedger.from_json(json.loads(value["S"]))
    said: dict[str, Any] = json.loads(unpack(value))
    said |= {name: _pairs(said[name]) for name in _RANGES if name in said}
    bounds, since, asks, asked, repeated = said["holes"]
    columns = (_sums(since), _sums(asks), _sums(asked), [bool(each) for each in repeated])
    said["holes"] = [[first, last, *story] for (first, last), *story in zip(_pairs(bounds), *columns, strict=True)]
    return StreamLedger.from_json(said)


def ledger_items(truck_id: str, stream_id: str, ledger: StreamLedger, rev: int) -> list[Item]:
    """A ledger's items: the first, which tells how many there are, and the further pieces."""
    packed = packed_ledger(ledger)["B"]
    pieces = [{"B": packed[at : at + _MOST_BYTES]} for at in range(0, len(packed), _MOST_BYTES)]
    first = {**part_key(truck_id, LEDGER + stream_id), "ledger": pieces[0], "rev": number(rev)}
    if ledger.holes:
        first["holes"] = number(len(ledger.holes))
    if len(pieces) > 1:
        first["pieces"] = number(len(pieces))
    keys = [piece_key(truck_id, stream_id, place) for place in range(1, len(pieces))]
    return [first, *({**key, "piece": each, "rev": number(rev)} for key, each in zip(keys, pieces[1:], strict=True))]


def piece_key(truck_id: str, stream_id: str, place: int) -> Item:
    """The key of a further piece; the first of them is 1."""
    return part_key(truck_id, f"{PIECE}{stream_id}#{place}")


def piece_count(item: Item) -> int:
    """Of a ledger's first item: how many items the ledger has."""
    return int(item["pieces"]["N"]) if "pieces" in item else 1


def joined(first: Item, further: Sequence[Item | None]) -> Item | None:
    """A ledger's first item with the whole ledger in it; None where they are not of one act."""
    pieces = [first["ledger"]["B"]]
    for item in further:
        if item is None or item["rev"] != first["rev"]:
            return None
        pieces.append(item["piece"]["B"])
    return {**first, "ledger": {"B": b"".join(map(bytes, pieces))}}


def ledgers_of(item: Item) -> dict[str, Item]:
    """The ledgers in an item of `trucks`, not yet read: those in a head, or the one that has an item of its own."""
    if "ledger" in item:
        return {item["part"]["S"].removeprefix("ledger#"): item["ledger"]}
    found: dict[str, Item] = item.get("ledgers", {"M": {}})["M"]
    return found


def _differences(numbers: Iterable[int]) -> list[int]:
    return [after - before for before, after in pairwise(chain([0], numbers))]


def _sums(differences: Sequence[int]) -> list[int]:
    return list(accumulate(differences))


def _pairs(differences: Sequence[int]) -> list[tuple[int, int]]:
    numbers = iter(_sums(differences))
    return list(zip(numbers, numbers, strict=True))
