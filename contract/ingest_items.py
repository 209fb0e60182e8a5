"""What any door hands to ingest, and what it gets back: one shape for MQTT, HTTP, streams and files."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from contract.codec import Json, dump, elements

NO_WARNINGS: Mapping[str, str] = MappingProxyType({})
NOTHING_SEEN: Mapping[str, Json] = MappingProxyType({})
Kind = Literal["telemetry", "click", "report", "status"]


class BatchText:
    """The source text of a batch that has parsed: a record's own is cut out of it when somebody asks.

    Args:
        text: of the whole batch, a JSON object.
        key: of its list of records.
    """

    __slots__ = ("_cuts", "_key", "_text")

    def __init__(self, text: str, key: str) -> None:
        self._text, self._key = text, key
        self._cuts: list[str] | None = None

    def cut(self, place: int) -> str:
        """One record's own text.

        Args:
            place: of the record, from 0.

        Returns:
            The text, exactly as it came.
        """
        if self._cuts is None:
            self._cuts = elements(self._text, self._key)
        return self._cuts[place]


class CutText(NamedTuple):
    """`str` of it is the source text of one record of a batch.

    place: of the record in its batch, from 0. sent_at: the batch's, where the record is an event that has none of its
    own: it is put into the text, so that this is a whole event by itself.
    """

    batch: BatchText
    place: int
    sent_at: Json = None

    def __str__(self) -> str:
        cut = self.batch.cut(self.place)
        if self.sent_at is None:
            return cut
        inside = cut[1:].lstrip()
        try:
            sent_at = dump(self.sent_at)
        except ValueError:  # NaN somewhere in it: as it came, for ingest to judge
            sent_at = json.dumps(self.sent_at, default=str)
        return f'{{"sent_at":{sent_at}{"" if inside.startswith("}") else ","}{inside}'


class Item(NamedTuple):
    """One record as it arrived.

    source: the door, for dead letters: "mqtt:fleet/T1/telemetry", "http:clicks", "file:telemetry".
    record: the parsed JSON (contract.codec.parse), or the exact bytes where nobody has parsed them yet.
    text: `str` of it is the record's source text, where that parsed; kept for dead letters and streams.
    truck_id: whom the topic or the key vouches for, None where nobody does.
    received_ms: Unix milliseconds of arrival. date_by_arrival: see contract.records.read_sample.
    seen: what the door saw of a shop event's sender (docs/wire.md); no part of identity.
    origin: where exactly it lay, for the reason in dead letters: "shardId-000000000000:49590338…"; no part of identity.
    loaded: `milepost ingest` brings it, from a file or an archive: of any age, and known for ever.
    content: the content hash that it is known under, where its record is not what its producer sent any more.
    """

    kind: Kind
    source: str
    record: Json | bytes
    received_ms: int
    text: str | CutText | None = None
    truck_id: str | None = None
    date_by_arrival: bool = True
    origin: str = ""
    seen: Mapping[str, Json] = NOTHING_SEEN
    loaded: bool = False
    content: str | None = None


class Receipt(NamedTuple):
    """What became of one item; given only when that is durable.

    id: the event_id of a click, the seq of a sample, None where there is none. field and reason: only if rejected.
    warnings: optional fields of an accepted event that were set to null, each with the reason.
    """

    status: Literal["accepted", "duplicate", "rejected"]
    id: str | int | None = None
    field: str | None = None
    reason: str | None = None
    warnings: Mapping[str, str] = NO_WARNINGS
