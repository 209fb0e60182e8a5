"""What the views of shop events read: of a span its days in the index, all of them at the same time (click_days)."""

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from collector.clicks.sessions import SILENCE_MS, SessionPart, sessions
from collector.rows import Counter, StoredClick
from collector.stores.dynamodb import click_counters, click_days
from collector.stores.dynamodb.items import Item, text
from collector.stores.dynamodb.retries import Calls
from collector.stores.dynamodb.tables import BY_DAY
from contract import timestamps
from contract.codec import parse

_BEGINNING, _END = "", "~"
_AT_ONCE = 8


class DynamoDbClickReader:
    """The part of the `Reader` that asks what shoppers did."""

    _calls: Calls
    _tables: dict[str, str]
    _clock: Callable[[], float]
    _days: click_days.DayRegister
    _scan: Callable[..., Iterator[Item]]
    _lives: Callable[[Item], bool]

    def clicks(self) -> Iterator[StoredClick]:
        found = [click_counters.read_click(item) for item in self._scan("clicks") if self._lives(item)]
        return iter(sorted(found, key=_in_time))

    def click_counts(self) -> Iterator[tuple[Counter, int]]:
        tally: Tally[Counter] = Tally()
        for item in self._scan("click_counts"):
            counter, count, _ = click_counters.read_counter(item)
            tally[counter] += count
        ordered = sorted(tally.items(), key=lambda pair: [value or "" for value in _names(pair[0])])
        return iter(ordered)

    def item_counts(self, since: str, until: str) -> Iterator[tuple[str | None, str | None, str, int, int]]:
        rows = self._counters(since, until)
        return _summed(((of.item_id, of.item_name, of.event_type), count, bots) for of, count, bots in rows)

    def minute_counts(self, since: str, until: str) -> Iterator[tuple[str, str | None, str, int, int]]:
        rows = self._counters(since, until)
        return _summed(((of.minute, of.item_id, of.event_type), count, bots) for of, count, bots in rows)

    def page_counts(self, since: str, until: str) -> Iterator[tuple[str | None, str, int, int]]:
        return _summed(
            ((click.page, click.counter.event_type), click.count, click.count * click.is_bot)
            for click in self._events(since, until)
            if since <= click.counter.minute < until
        )

    def session_parts(self, since: str, until: str, *, numbered: bool = True) -> Iterator[SessionPart]:
        first = timestamps.from_ms(max(0, timestamps.to_ms(since) - SILENCE_MS)) if since and not numbered else ""
        if not self._days.indexed():
            parts = sessions(self.clicks())
        else:
            parts = self._parts(self._days.days(first, _END, self._clock()), until)
        return (part for part in parts if since <= part.first < until)

    def _parts(self, days: list[str], until: str) -> list[SessionPart]:
        """The sessions of some days: those that begin before an instant are whole."""
        later = [day for day in days if day > until[:10]]
        events = self._of_days(days[: len(days) - len(later)])
        parts = sessions(events)
        for day in later:
            begins_ms = timestamps.to_ms(f"{day}T00:00:00.000Z")
            open_ones = {
                part.session_id
                for part in parts
                if part.first < until and begins_ms - timestamps.to_ms(part.last) <= SILENCE_MS
            }
            if not open_ones:
                break
            events += self._of_days([day])
            parts = sessions(events)
        return parts

    def events_of_no_session(self, since: str, until: str) -> tuple[int, int]:
        found = [
            each
            for each in self._events(since, until, click_days.OF_NO_SESSION)
            if each.session_id is None and since <= each.timestamp < until
        ]
        return len(found), sum(each.is_bot for each in found)

    def identified_users(self) -> Iterator[tuple[str, str, str]]:
        return ((c.user_id, c.customer_id, c.timestamp) for c in self._events() if c.user_id and c.customer_id)

    def browser_users(self) -> Iterator[tuple[str, str]]:
        named = (click for click in self._events() if click.user_id and '"browser_id":' in click.text)
        pairs = {(parse(click.text).get("browser_id"), click.user_id) for click in named}
        return ((browser, user) for browser, user in pairs if browser and user)

    def clicks_of_session(self, session_id: str) -> Iterator[StoredClick]:
        found = self._events(begins=click_days.of_session(session_id))
        return iter(sorted((click for click in found if click.session_id == session_id), key=_in_time))

    def purchases(self) -> Iterator[StoredClick]:
        return iter(sorted((c for c in self._events() if c.counter.event_type == "purchase"), key=_in_time))

    def _events(self, since: str = _BEGINNING, until: str = _END, begins: str = "") -> Iterable[StoredClick]:
        """The events of the days of a span, in any order. begins: how their places do."""
        if not self._days.indexed():
            return self.clicks()
        return self._of_days(self._days.days(since, until, self._clock()), begins)

    def _of_days(self, days: Sequence[str], begins: str = "") -> list[StoredClick]:
        found = self._at_days("clicks", days, begins)
        return [click_counters.read_click(item) for item in found if self._lives(item)]

    def _counters(self, since: str, until: str) -> Iterator[tuple[Counter, int, int]]:
        if self._days.indexed():
            found: Iterable[Item] = self._at_days("click_counts", self._days.days(since, until))
        else:
            found = self._scan("click_counts")
        rows = map(click_counters.read_counter, found)
        return (row for row in rows if since <= row[0].minute < until)

    def _at_days(self, table: str, days: Sequence[str], begins: str = "") -> Iterator[Item]:
        names = [name for day in days for name in click_days.partitions(day)]
        if not names:
            return
        _ = self._calls.client  # built here, not by several threads at once
        with ThreadPoolExecutor(min(_AT_ONCE, len(names)), thread_name_prefix="clicks") as pool:
            for items in pool.map(lambda name: self._partition(table, name, begins), names):
                yield from items

    def _partition(self, table: str, name: str, begins: str) -> list[Item]:
        values = {"day": text(name), **({"place": text(begins)} if begins else {})}
        return list(
            self._calls.items(
                "query",
                TableName=self._tables[table],
                IndexName=BY_DAY,
                KeyConditionExpression="#day = :day" + (" AND begins_with(#place, :place)" if begins else ""),
                ExpressionAttributeNames={f"#{name}": name for name in values},
                ExpressionAttributeValues={f":{name}": value for name, value in values.items()},
            )
        )


def _summed(rows: Iterable[tuple[Any, int, int]]) -> Iterator[Any]:
    counts: Tally[Any] = Tally()
    robots: Tally[Any] = Tally()
    for key, count, bots in rows:
        counts[key] += count
        robots[key] += bots
    return ((*key, count, robots[key]) for key, count in counts.items())


def _in_time(click: StoredClick) -> tuple[str, str]:
    return click.timestamp, click.event_id


def _names(counter: Counter) -> tuple[str | None, ...]:
    return (counter.minute, counter.item_id, counter.item_name, counter.event_type)
