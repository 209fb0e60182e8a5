"""How often each item, page and kind of event came: by minute, and by day. Inside the caller's transaction."""

import sqlite3
from collections.abc import Mapping, Sequence

from collector.rows import Counter, StoredClick
from collector.stores.sqlite import many_rows
from collector.stores.sqlite.schema import COUNT_DAYS, COUNT_PAGES

_DAY = len("2026-01-01")


def count(db: sqlite3.Connection, counted: Sequence[StoredClick], uncounted: Sequence[StoredClick]) -> None:
    """Add events to the counters, and take out those whose place they took.

    Args:
        db: in a transaction.
        counted: each is in the counters from now on.
        uncounted: each was, and is no more.
    """
    items: dict[tuple[Counter, bool], int] = {}
    pages: dict[tuple[str, str, str, bool], int] = {}
    for sign, clicks in ((1, counted), (-1, uncounted)):
        for click in clicks:
            counter, is_bot, times = click.counter, click.is_bot, sign * click.count
            items[counter, is_bot] = items.get((counter, is_bot), 0) + times
            page = (counter.minute, click.page or "", counter.event_type, is_bot)
            pages[page] = pages.get(page, 0) + times
    _count_items(db, items)
    _add(
        db,
        "page_counts",
        [(*names, times, times if is_bot else 0) for (*names, is_bot), times in pages.items() if times],
    )


def replace(db: sqlite3.Connection, since: str) -> None:
    """Count the stored events anew; what was before the minute `since`, and may be dropped, stays as it was."""
    db.execute("DELETE FROM click_counts WHERE minute >= ?", [since])
    db.execute(
        "INSERT INTO click_counts (minute, item_id, item_name, event_type, count, bots)"
        " SELECT minute, ifnull(item_id, ''), ifnull(item_name, ''), event_type, sum(count), sum(count * is_bot)"
        " FROM clicks WHERE minute >= ? GROUP BY 1, 2, 3, 4 HAVING sum(count) > 0",
        [since],
    )
    db.execute("DELETE FROM day_counts")
    db.execute(COUNT_DAYS)
    db.execute("DELETE FROM page_counts WHERE minute >= ?", [since])
    db.execute(COUNT_PAGES, [since])


def _count_items(db: sqlite3.Connection, items: Mapping[tuple[Counter, bool], int]) -> None:
    minutes = [
        (of.minute, of.item_id or "", of.item_name or "", of.event_type, times, times if is_bot else 0)
        for (of, is_bot), times in items.items()
        if times
    ]
    days: dict[tuple[str, ...], tuple[int, int]] = {}
    for minute, *names, times, bots in minutes:
        day = (minute[:_DAY], *names)
        sums = days.get(day, (0, 0))
        days[day] = sums[0] + times, sums[1] + bots
    _add(db, "click_counts", minutes)
    _add(db, "day_counts", [(*day, *sums) for day, sums in days.items()])


def _add(db: sqlite3.Connection, table: str, rows: Sequence[Sequence[object]]) -> None:
    """Add rows whose last two columns are `count` and `bots` to those of their key."""
    summed = "ON CONFLICT DO UPDATE SET count = count + excluded.count, bots = bots + excluded.bots"
    many_rows.insert(db, f"INSERT INTO {table} VALUES", rows, summed)
