"""Alerts of what is no truck's sample: refused records, lost samples, late orders. Pure, like the rest.

Each is a function of the set of facts and of now: refusals by the time they came, lost numbers by the sample before
them, orders by what was promised and what became of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from alerts.alert import Stretch
from alerts.rules import Rule
from contract import timestamps

_HOUR_MS = 3_600_000
_OPEN = frozenset({"placed", "packed", "loaded", "failed"})


def refused_too_often(rule: Rule, received_ms: Sequence[int], now_ms: int) -> list[Stretch]:
    """The times in which `value` records or more were refused within an hour.

    Args:
        rule: of kind `dead_letters`.
        received_ms: when each came, Unix ms, in any order.
        now_ms: Unix ms.
    """
    changes = sorted([(each, 1) for each in received_ms] + [(each + _HOUR_MS, -1) for each in received_ms])
    found: list[Stretch] = []
    count, first, most = 0, None, 0
    for ms, change in changes:
        if ms > now_ms:
            break
        count += change
        if first is None and count >= (rule.value or 0):
            first, most = ms, count
        elif first is not None and count < (rule.value or 0):
            found.append(_stretch("", first, ms, f"{most} within an hour"))
            first = None
        most = max(most, count)
    if first is not None:
        found.append(_stretch("", first, None, f"{most} within an hour"))
    return found


def lost(stream_id: str | None, gone: Sequence[Sequence[int]], before: Mapping[int, str]) -> list[Stretch]:
    """One for each range of a stream's numbers that are lost for certain.

    Args:
        stream_id: the stream.
        gone: `[[first, last]]`.
        before: first of a range → the instant of the last sample before it.
    """
    return [
        Stretch(stream_id or "", before[first], before[first], before[first], ((before[first], _numbers(first, last)),))
        for first, last in gone
        if first in before
    ]


def late(rule: Rule, orders: Iterable[Mapping[str, Any]], now: str) -> dict[str, list[Stretch]]:
    """order_id → since when it is late, and until when it was.

    Args:
        rule: of kind `late_order`; `minutes` after the promise it is late.
        orders: their states, as commerce.queries.order_list gives them.
        now: RFC 3339.
    """
    found: dict[str, list[Stretch]] = {}
    for order in orders:
        promised = order.get("promised_at")
        if not promised:
            continue
        due = timestamps.from_ms(timestamps.to_ms(promised) + round(rule.minutes * 60_000))
        is_open = order["state"] in _OPEN
        end = None if is_open else order.get("delivered_at") or due
        if (end or now) > due:
            said = f"promised for {promised}, {order['state']}"
            found[str(order["order_id"])] = [Stretch("", due, due, end, ((due, said),))]
    return found


def _numbers(first: int, last: int) -> str:
    return f"number {first}" if first == last else f"numbers {first} to {last}"


def _stretch(name: str, first_ms: int, end_ms: int | None, said: str) -> Stretch:
    first = timestamps.from_ms(first_ms)
    return Stretch(name, first, first, None if end_ms is None else timestamps.from_ms(end_ms), ((first, said),))
