"""Begins a truck's watch early enough: what goes on at an instant may have begun long before it."""

from collections.abc import Iterator, Sequence

from alerts.engine import Ordered, TruckWatch
from alerts.rules import Rule
from alerts.silence import HeardMinutes
from collector import queries
from collector.stores import Reader
from contract import timestamps

_SHORTEST_BACK_MS = 75 * 60_000
_LONGER = 4


def watched(  # noqa: PLR0913 - a period, and what is filled beside it
    reader: Reader, rules: Sequence[Rule], truck_id: str, *, since: str, now: str, heard: HeardMinutes
) -> TruckWatch:
    """A truck's watch that is right from an instant on, having taken everything up to another.

    It begins early enough that whatever went on at `since` is known from its beginning. The minutes in which the truck
    was heard are added to `heard`.
    """
    since_ms = timestamps.to_ms(since)
    back_ms = _SHORTEST_BACK_MS
    while True:
        begin_ms = since_ms - back_ms
        begin = timestamps.from_ms(max(begin_ms, 0))
        is_whole = begin_ms <= 0 or reader.sample_at(truck_id, begin) is None
        watch = TruckWatch(rules, truck_id, None if is_whole else begin_ms)
        watch.add(_heard(queries.samples_in_order(reader, truck_id, begin, now), heard))
        if is_whole or watch.is_anchored(since_ms):
            return watch
        back_ms *= _LONGER


def _heard(samples: Iterator[Ordered], heard: HeardMinutes) -> Iterator[Ordered]:
    for order_key, sample in samples:
        heard.add(timestamps.to_ms(sample["sampled_at"]))
        yield order_key, sample
