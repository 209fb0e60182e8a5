"""Where events and counters stand in the index by day, and which days there are.

A view of a span asks the index for the span's days, and reads nothing else. Each day has a few partitions, since one
takes a thousand writes a second; events of one session share a partition and stand there side by side. The index
follows the table within a second or so: what is derived from it may lack what was stored just now.

Items of before release 0.2 are not in the index. Until `milepost rebuild` has put them there (`indexed`) the views read
all items, as they did then.
"""

import hashlib
from collections.abc import Sequence

from collector.rows import StoredClick
from collector.stores.dynamodb.items import CLICKS_KEPT_MS, DAY_MS, Item, part_key, text
from collector.stores.dynamodb.retries import Calls
from contract import timestamps

OF_NO_SESSION = "-/"
"""How the places of events begin that name no session."""
_DAY = len("2026-01-01")
_PARTITIONS = 4
_OWNER = "#clicks"  # no truck can be called so
_ANY, _FROM_FILES, _INDEXED = "day/", "file/", "indexed"
_OLDEST_MS = 2 * CLICKS_KEPT_MS + DAY_MS
"""An event is at most 13 days old when it is counted, and is kept for 14 more; from files alone it may be older."""


def of_event(click: StoredClick) -> Item:
    """The attributes by which the index knows an event."""
    name = OF_NO_SESSION if click.session_id is None else of_session(click.session_id)
    return _at(click.timestamp, click.event_id if click.session_id is None else click.session_id, name)


def of_counter(minute: str, identity: str) -> Item:
    """The attributes by which the index knows a counter. identity: what tells it from others."""
    return _at(minute, identity, "")


def _at(instant: str, apart: str, begins: str) -> Item:
    partition = _digest(apart)[0] % _PARTITIONS
    return {"day": text(f"{instant[:_DAY]}/{partition}"), "place": text(begins + instant)}


def of_session(session_id: str) -> str:
    """How the places of a session's events begin."""
    return f"{_digest(session_id).hex()[:24]}/"


def partitions(day: str) -> list[str]:
    """The names of a day's partitions."""
    return [f"{day}/{partition}" for partition in range(_PARTITIONS)]


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()


class DayRegister:
    """The days of which anything was ever stored: a few items in the table of trucks.

    Args:
        calls: of the client.
        table: the full name of the table of trucks.
    """

    def __init__(self, calls: Calls, table: str) -> None:
        self._calls, self._table = calls, table
        self._known: set[str] = set()
        self._indexed = False

    def note(self, clicks: Sequence[StoredClick]) -> None:
        """Before they are stored: who dies in between leaves a day that holds nothing."""
        for click in clicks:
            self.note_day(click.timestamp)
            if click.from_file:
                self._put(_FROM_FILES + click.timestamp[:_DAY])

    def note_day(self, instant: str) -> None:
        """The day of something that is stored. instant: RFC 3339."""
        self._put(_ANY + instant[:_DAY])

    def _put(self, part: str) -> None:
        if part not in self._known:
            self._calls("put_item", TableName=self._table, Item=part_key(_OWNER, part))
            self._known.add(part)

    def days(self, since: str, until: str, now: float | None = None) -> list[str]:
        """Those of a span, ascending.

        Args:
            since: RFC 3339; "" for the first.
            until: RFC 3339.
            now: Unix seconds; leaves out days whose events have all expired.
        """
        condition = "#truck_id = :truck_id AND begins_with(#part, :part)"
        oldest = "" if now is None else timestamps.from_ms(max(0, int(now * 1000) - _OLDEST_MS))[:_DAY]
        found = {}
        for begins in (_ANY, _FROM_FILES):
            values = {"truck_id": text(_OWNER), "part": text(begins)}
            rows = self._calls.items(
                "query",
                TableName=self._table,
                KeyConditionExpression=condition,
                ExpressionAttributeNames={f"#{name}": name for name in values},
                ExpressionAttributeValues={f":{name}": value for name, value in values.items()},
                ConsistentRead=True,
            )
            found[begins] = [row["part"]["S"].removeprefix(begins) for row in rows]
        kept = {day for day in found[_ANY] if day >= oldest}.union(found[_FROM_FILES])
        return sorted(day for day in kept if since[:_DAY] <= day <= until[:_DAY])

    def indexed(self) -> bool:
        """Whether all that is stored is in the index; once it is, it stays so."""
        if not self._indexed:
            key = part_key(_OWNER, _INDEXED)
            self._indexed = "Item" in self._calls("get_item", TableName=self._table, Key=key, ConsistentRead=True)
        return self._indexed

    def set_indexed(self) -> None:
        """Of a store that is new, or when all that it holds was put there."""
        self._calls("put_item", TableName=self._table, Item=part_key(_OWNER, _INDEXED))
