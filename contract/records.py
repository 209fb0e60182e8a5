"""From a parsed JSON record to a `Sample`: judged, dated and identified. contract.click_records reads shop events.

The one door to the contract for whoever receives: it applies the earlier producers' spellings, the models' types and
bounds, the limits on time, and computes the identity. Nothing here reads a clock: `received_at` is an argument.
"""

import re
from contextlib import suppress
from decimal import Decimal
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from contract import legacy_records, timestamps
from contract.codec import UNBOUNDED, Json, canonical, content_hash, has_bounded_numbers
from contract.errors import Rejected
from contract.plain_samples import is_plain
from contract.telemetry import ESTIMATED, GROUPS, LEAVES, Telemetry

HOUR_MS = 3_600_000
MAX_RECORD = 256 * 1024
"""Bytes of the canonical text of one record."""
ESTIMATE_MAX_AGE_MS = 35 * 24 * HOUR_MS
"""An estimated time is taken for the date of a sample when it lies within this before the arrival."""


class Sample(NamedTuple):
    """One telemetry sample, accepted.

    order_key: `sampled_at # stream_id # seq # content hash`, which sorts as history does.
    text: canonical JSON of what the producer sent, the very bytes that were hashed.
    record: the same under the wire's names. own_time: the time that its producer gave it, None where it gave none that
    can be read. estimated: nobody vouches for that time: the delivery that is committed first decides the date.
    unknown: dotted keys that the contract does not know, kept in `text`.
    """

    truck_id: str
    sampled_at: str
    stream_id: str | None
    seq: int | None
    content: str
    text: str
    record: dict[str, Json]
    own_time: str | None
    estimated: bool
    unknown: tuple[str, ...]

    @property
    def by_arrival(self) -> bool:
        """It is dated by its arrival."""
        return self.own_time != self.sampled_at

    @property
    def order_key(self) -> str:
        return order_key(self.sampled_at, self.stream_id, self.seq, self.content)


def order_key(sampled_at: str, stream_id: str | None, seq: int | None, content: str) -> str:
    """The text that history is sorted by (docs/history.md); without stream_id and seq those parts are empty."""
    return f"{sampled_at}#{stream_id or ''}#{'' if seq is None else f'{seq:019d}'}#{content}"


def read_sample(record: Json, *, received_ms: int, date_by_arrival: bool) -> Sample:
    """Judge one parsed telemetry record of any known producer.

    Args:
        record: as `codec.parse` gives it.
        received_ms: Unix ms of its arrival.
        date_by_arrival: give a record without a time its arrival's (a stream), or reject it (a file, where the
            arrival says nothing).

    Returns:
        The sample, with its order key's parts, and its content hash over the producer's JSON.

    Raises:
        Rejected: names the field and the reason.
    """
    if not isinstance(record, dict):
        raise Rejected("", "a telemetry record must be a JSON object")
    own = legacy_records.without_bookkeeping(record)
    wire = legacy_records.telemetry(own)
    plain = is_plain(wire)
    try:
        if not plain:
            _validate(Telemetry, wire)
    except Rejected as error:
        field = legacy_records.flat_name(error.field, own) if "TRUCK_ID" in own else error.field
        raise Rejected(field, error.reason) from None
    stream_id, seq = wire.get("stream_id"), wire.get("seq")
    if (stream_id is None) != (seq is None):
        raise Rejected("seq" if seq is None else "stream_id", "stream_id and seq go together: send both or neither")
    sampled_at, own_time, estimated = _time_of(wire, received_ms, date_by_arrival)
    unknown = [] if plain else _unknown(wire)
    for path in unknown:  # the model has bounded what it knows
        if not has_bounded_numbers(_value(wire, path)):
            raise Rejected(".".join(path), f"holds {UNBOUNDED}")
    text = canonical(own)
    if len(text) > MAX_RECORD:
        raise Rejected("", f"over {MAX_RECORD} bytes of JSON: leave out what is no measurement")
    content, keys = content_hash(text), tuple([".".join(path) for path in unknown])
    # By position: by name it takes twice as long, and every sample passes here.
    return Sample(wire["truck_id"], sampled_at, stream_id, seq, content, text, wire, own_time, estimated, keys)


def _time_of(wire: dict[str, Json], received_ms: int, date_by_arrival: bool) -> tuple[str, str | None, bool]:
    """The date, the producer's own time, and whether that is one which nobody vouches for."""
    if wire.get("time_quality") == ESTIMATED:
        own = _own_time(wire)
        earliest, latest = timestamps.from_ms(received_ms - ESTIMATE_MAX_AGE_MS), timestamps.from_ms(received_ms)
        return (own if own and earliest <= own <= latest else latest), own, True
    for field in legacy_records.TIME_KEYS:
        if wire.get(field) is not None:
            break
    else:
        if not date_by_arrival:
            raise Rejected("sampled_at", "missing: a record in a file needs sampled_at, timestamp or LOAD_TIMESTAMP")
        return timestamps.from_ms(received_ms), None, True
    sampled_at = timestamps.parse(wire[field], field)
    if sampled_at < timestamps.EARLIEST:
        raise Rejected(field, f"{sampled_at} is before the year 2000: set the producer's clock")
    in_time = timestamps.from_ms(received_ms - received_ms % 1000 + HOUR_MS)  # remembered for all of one second
    if sampled_at > in_time and sampled_at > (latest := timestamps.from_ms(received_ms + HOUR_MS)):
        raise Rejected(field, f"{sampled_at} is over an hour after it was received ({latest} at most): set the clock")
    return sampled_at, sampled_at, False


def _own_time(wire: dict[str, Json]) -> str | None:
    for field in legacy_records.TIME_KEYS:
        with suppress(Rejected):
            if wire.get(field) is not None:
                return timestamps.parse(wire[field], field)
    return None


def _validate(model: type[BaseModel], wire: dict[str, Json]) -> None:
    try:
        model.__pydantic_validator__.validate_python(wire)
    except ValidationError as error:
        if not _has_decimal(wire):
            raise rejection(error) from None
        try:  # a number with more digits than a float holds is judged as the nearest float
            model.model_validate(_as_floats(wire))
        except ValidationError as second:
            raise rejection(second) from None


def rejection(error: ValidationError) -> Rejected:
    """A pydantic error as Rejected.

    Args:
        error: of a model that was given one record.

    Returns:
        The first fault only, naming the field and what was found there, cut to 80 characters.
    """
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"]).encode("utf-8", "backslashreplace").decode()
    if first["type"] == "missing":
        return Rejected(field, "missing: this field is required")
    reason = re.sub(r"^\w+ should ", "must ", first["msg"].removeprefix("Value error, "))
    return Rejected(field, f"{reason}, not {first['input']!r:.80}")


def _has_decimal(value: Json) -> bool:
    if isinstance(value, dict):
        return any(map(_has_decimal, value.values()))
    if isinstance(value, list):
        return any(map(_has_decimal, value))
    return isinstance(value, Decimal)


def _as_floats(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _as_floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_floats(item) for item in value]
    return float(value) if isinstance(value, Decimal) else value


_TOP = frozenset(Telemetry.model_fields) | set(legacy_records.TIME_KEYS)
_KNOWN = {tuple(group.split(".")): frozenset(leaves) for group, leaves in GROUPS.items()}
_KNOWN["vehicle_health_and_maintenance",] |= {"tire_pressure"}


def _unknown(wire: dict[str, Json]) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = [(key,) for key in wire.keys() - _TOP]
    for path, known in _KNOWN.items():
        value: Json = wire
        for part in path:
            value = value.get(part) if value else None
        if value and not known.issuperset(value):
            found.extend((*path, key) for key in value.keys() - known)
    return sorted(found)


def _value(wire: dict[str, Json], path: tuple[str, ...]) -> Json:
    value: Json = wire
    for part in path:
        value = value[part]
    return value


def at(record: dict[str, Json], path: str) -> Json:
    """The value at a dotted path.

    Args:
        record: parsed JSON.
        path: keys joined by dots, such as `gps_location.latitude`.

    Returns:
        The value; None where it is null or any part of the way is missing.
    """
    value: Json = record
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def document(text_record: dict[str, Json], *, sampled_at: str, by_arrival: bool) -> dict[str, Json]:
    """A stored record as people and programs read it: the wire's shape whole, null where nothing was said.

    Args:
        text_record: the parsed `Sample.text`.
        sampled_at: the time that it got, RFC 3339.
        by_arrival: whether that is its arrival's; the producer's own is then kept as `producer_sampled_at`.

    Returns:
        A new document; unknown keys follow the known ones under their own names.
    """
    wire = legacy_records.telemetry(text_record)
    whole: dict[str, Any] = {key: wire.get(key) for key in ("schema_version", "truck_id", "stream_id", "seq")}
    whole["sampled_at"] = sampled_at
    whole["time_quality"] = ESTIMATED if by_arrival else wire.get("time_quality")
    if by_arrival and wire.get("sampled_at") is not None:
        whole["producer_sampled_at"] = wire["sampled_at"]
    for leaf in LEAVES:
        *groups, name = leaf.split(".")
        home = whole
        for group in groups:
            home = home.setdefault(group, {})
        home[name] = at(wire, leaf)
    whole["quality"] = wire.get("quality") or {}
    whole |= {key: wire[key] for key in ("since_last", "custom") if wire.get(key) is not None}
    for *groups, name in _unknown(wire):  # a key of the producer's may have a dot in it
        home, source = whole, wire
        for group in groups:
            home, source = home[group], source[group]
        home[name] = source[name]
    for key in legacy_records.TIME_KEYS[1:]:
        if key in wire:
            whole[key] = wire[key]
    return whole
