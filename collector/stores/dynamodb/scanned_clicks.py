"""Sums over the counters and events of a store that has no sums of its own. Its counters do not tell robots apart."""

from collections import Counter as Tally
from collections.abc import Iterator
from typing import Any

from collector.stores import Reader


def item_counts(reader: Reader, since: str, until: str) -> Iterator[tuple[str | None, str | None, str, int, int]]:
    """As Reader.item_counts."""
    tally: Tally[Any] = Tally()
    for counter, count in reader.click_counts():
        if since <= counter.minute < until:
            tally[counter.item_id, counter.item_name, counter.event_type] += count
    return ((*key, count, 0) for key, count in tally.items())


def minute_counts(reader: Reader, since: str, until: str) -> Iterator[tuple[str, str | None, str, int, int]]:
    """As Reader.minute_counts."""
    tally: Tally[Any] = Tally()
    for counter, count in reader.click_counts():
        if since <= counter.minute < until:
            tally[counter.minute, counter.item_id, counter.event_type] += count
    return ((*key, count, 0) for key, count in tally.items())


def page_counts(reader: Reader, since: str, until: str) -> Iterator[tuple[str | None, str, int, int]]:
    """As Reader.page_counts."""
    tally: Tally[Any] = Tally()
    bots: Tally[Any] = Tally()
    for click in reader.clicks():
        if since <= click.counter.minute < until:
            tally[click.page, click.counter.event_type] += click.count
            bots[click.page, click.counter.event_type] += click.count if click.is_bot else 0
    return ((*key, count, bots[key]) for key, count in tally.items())
