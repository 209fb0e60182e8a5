"""`type = "can"`: signals of the fleet's own DBC file on a CAN bus, by cantools and python-can; it sends nothing.

A frame belongs to the DBC's message of exactly its identifier, else, by 29 bits, to the J1939 message of its parameter
group, whoever sends it. A value is the newest one, and `stale` after five of its cycles (a cycle is the DBC's, else as
observed; a multiplexed signal's always as observed), 5 to 60 seconds. Of several senders the lowest identifier that is
fresh is taken, but of the odometer as odometer.py says; where one message has both halves of a position, only a sender
that says both. Messages of several frames are not put together here.
"""

import difflib
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from agent.sensors.beliefs import RememberedBelief
from agent.sensors.can_address import CanAddress, parse_address
from agent.sensors.can_frame import Frame
from agent.sensors.can_sensor import BusSensor
from agent.sensors.fields import MEASURES, Reason, is_custom
from agent.sensors.observed_period import ObservedPeriods
from agent.sensors.odometer import OdometerBelief, Rank, unit_rank
from agent.sensors.plausibility import LATITUDE, LONGITUDE, Disagreement, PositionRule
from agent.sensors.since_last import Interval, Since, counts
from agent.sensors.targets import put, settled, wrong_target
from agent.sensors.units import factor_and_offset
from contract.codec import Json
from contract.errors import Misconfigured

if TYPE_CHECKING:
    from can.typechecking import CanFilter
    from cantools.database.can import Message, Signal

ODOMETER = "odometer_reading"
_TABLE = '[[agent.sensors]] type="can"'
_SHORTEST, _LONGEST, _CYCLES = 5.0, 60.0, 5.0
_ONE_MOMENT = 2.0
"""Seconds between the two messages of a position."""
_SOURCES = 8
"""Senders of one message that are kept; the one unheard longest gives way."""
_ENUMERATION_BITS = 8
_J1939_NULL = 0xFE
_TO_ALL, _TO_ONE = 0x03FFFF00, 0x03FF0000


class DbcSensor(BusSensor):
    """Implements agent.sensors.Listening.

    Args:
        path: the bus, see agent/sensors/can_address.py.
        interval: not used: the bus has its own pace.
        dbc: the DBC file.
        map: signal (or MESSAGE.SIGNAL) → field of the wire or `custom.NAME`.

    Raises:
        Misconfigured: without python-can or cantools, for a path that names no bus, a file that is no DBC, a signal
            that it does not have, or a target that is no field.
    """

    def __init__(
        self,
        path: str | None,
        *,
        interval: float,
        dbc: Path | None = None,
        map: Mapping[str, str] | None = None,
    ) -> None:
        del interval
        address, mapped = understood(path, dbc, map)
        super().__init__(address, DbcDecoder(mapped), filters=_filters(mapped))


class Mapped(NamedTuple):
    """One signal on its way to a leaf. by_group: it is found by its J1939 parameter group. choices: it is one of a few
    words, and its value is the word. factor, offset: from the DBC's unit to the wire's."""

    message: "Message"
    signal: "Signal"
    target: str
    by_group: bool
    choices: bool
    factor: float = 1.0
    offset: float = 0.0

    def value(self, raw: int | float) -> Json | Reason:
        """What a raw number says.

        Args:
            raw: as it stands in the frame.

        Returns:
            The value in the wire's unit, a word, or a Reason where there is none.
        """
        signal = self.signal
        if signal.choices and raw in signal.choices:
            return str(signal.choices[int(raw)]) if self.choices else "not_available"
        if not math.isfinite(raw):
            return "implausible"
        if self.by_group and (why := _set_aside(raw, signal.length)):
            return why
        if self.choices:  # a text is a text, also where the DBC has no word for a number
            return str(raw)
        value = float(str(signal.conversion.raw_to_scaled(raw, decode_choices=False)))
        low, high = signal.minimum, signal.maximum
        if (low is not None and value < low) or (high is not None and high > (low or 0) and value > high):
            return "implausible"
        if signal.length == 1 and is_custom(self.target):
            return bool(raw)
        return round(value * self.factor + self.offset, 6)


class DbcDecoder:
    """One bus. `feed` it in the order heard; `snapshot` at any time. Contradicting senders are not named."""

    def __init__(self, mapped: tuple[Mapped, ...]) -> None:
        from cantools.database.errors import DecodeError

        self._wrong = DecodeError
        self.disagreements: Counter[Disagreement] = Counter()
        self.since = Since()
        self._position = PositionRule()
        self._odometer = OdometerBelief()
        self._mapped = mapped
        self._exact = {(one.message.frame_id, one.message.is_extended_frame): one.message for one in mapped}
        self._groups = {_group(one.message.frame_id): one.message for one in mapped if one.by_group}
        self._of = {one.message.name: [each for each in mapped if each.message is one.message] for one in mapped}
        self._heard: dict[tuple[str, int], dict[int, tuple[float, Json | Reason]]] = {}
        self._cycles = ObservedPeriods()

    @property
    def beliefs(self) -> Mapping[str, RememberedBelief]:
        """What outlives a process."""
        return {"odometer": self._odometer, "position": self._position.place}

    def feed(self, now: float, frame: Frame) -> None:
        """File one frame.

        Args:
            now: seconds on any time line that runs evenly.
            frame: any frame; what the DBC does not map is passed over.
        """
        message = self._exact.get((frame.can_id, frame.extended))
        if message is None and frame.extended:
            message = self._groups.get(_group(frame.can_id))
        if message is None:
            return
        try:
            raw = cast(
                dict[str, Any],
                message.decode(frame.data, decode_choices=False, scaling=False, allow_truncated=True),
            )
        except self._wrong:  # too short for its switch, or a switch that the DBC does not have
            return
        source = frame.can_id
        for place, one in enumerate(self._of[message.name]):
            if one.signal.name in raw:
                self._file(now, place, one, source, one.value(raw[one.signal.name]))

    def _file(self, now: float, place: int, one: Mapped, source: int, value: Json | Reason) -> None:
        heard = self._heard.setdefault((one.message.name, place), {})
        if source in heard:
            self._cycles.add_gap((one.message.name, place), now - heard[source][0])
            del heard[source]  # so that the first is the one unheard longest
        elif len(heard) >= _SOURCES:
            del heard[next(iter(heard))]
        heard[source] = (now, value)
        if isinstance(value, float) and counts(one.target):
            said = settled(one.target, value)
            if isinstance(said, float):
                self.since.value(now, one.target, said, rank=(0, source), limit=self._limit(place, one))

    def snapshot(self, now: float) -> tuple[dict[str, object], dict[str, Reason]]:
        """What is true at a moment.

        Args:
            now: seconds, on the time line of `feed`.

        Returns:
            (leaf → value, leaf → why not) for every target of the map; the two never share a leaf.
        """
        values: dict[str, object] = {}
        quality: dict[str, Reason] = {}
        for places in self._of.values():
            for place, one in enumerate(places):
                self._put(now, place, one, values, quality)
        self._same_moment(values, quality)
        self._position.apply(now, values, quality)
        return values, quality

    def end_interval(self, now: float) -> Interval | None:
        """See agent.sensors.can_sensor.BusDecoder."""
        return self.since.end_interval(now)

    def _put(self, now: float, place: int, one: Mapped, values: dict[str, object], quality: dict[str, Reason]) -> None:
        heard = self._heard.get((one.message.name, place), {})
        fresh = self._fresh(now, place, one)
        halves = [
            self._fresh(now, at, other)
            for at, other in enumerate(self._of[one.message.name])
            if {one.target, other.target} == {LATITUDE, LONGITUDE}
        ]
        said: dict[int, Any] = {
            who: value for who, value in fresh.items() if all(_is_value(half.get(who)) for half in (fresh, *halves))
        }
        if said and one.target == ODOMETER:
            believed = self._odometer.choose(
                now, [(_rank(one, place, who), float(value)) for who, value in said.items()]
            )
            put(one.target, believed, values, quality)
            if believed is None:
                quality[one.target] = "implausible"
        elif said:
            put(one.target, next(iter(said.values())), values, quality)
        else:
            reasons = [cast(Reason, value) for value in fresh.values() if not _is_value(value)]
            quality[one.target] = reasons[0] if reasons else "stale" if heard and not fresh else "not_available"

    def _same_moment(self, values: dict[str, object], quality: dict[str, Reason]) -> None:
        """Halves of a position may come in two messages, but not with a stretch of road between them."""
        at = [
            max((when for when, _ in self._heard.get((one.message.name, place), {}).values()), default=0.0)
            for places in self._of.values()
            for place, one in enumerate(places)
            if one.target in (LATITUDE, LONGITUDE)
        ]
        if len(at) > 1 and max(at) - min(at) > _ONE_MOMENT and values.keys() & {LATITUDE, LONGITUDE}:
            for leaf in (LATITUDE, LONGITUDE):
                values.pop(leaf, None)
                quality[leaf] = "stale"

    def _fresh(self, now: float, place: int, one: Mapped) -> dict[int, Json | Reason]:
        """What senders said lately, the preferred first."""
        heard, limit = self._heard.get((one.message.name, place), {}), self._limit(place, one)
        return {source: value for source, (at, value) in sorted(heard.items()) if now - at <= limit}

    def _limit(self, place: int, one: Mapped) -> float:
        declared = 0.0 if one.signal.multiplexer_ids else (one.message.cycle_time or 0) / 1000
        cycle = declared or self._cycles.period((one.message.name, place))
        return min(_LONGEST, max(_SHORTEST, _CYCLES * cycle))


def _rank(one: Mapped, place: int, sender: int) -> Rank:
    return Rank(unit_rank(sender & 0xFF) if one.by_group else 0, place, sender)


def _is_value(value: Json | Reason) -> bool:
    return value not in (None, "error", "not_available", "implausible")


def understood(
    path: str | None, dbc: Path | None, map: Mapping[str, str] | None
) -> tuple[CanAddress, tuple[Mapped, ...]]:
    """What the table's keys say; nothing is opened but the DBC.

    Args:
        path: the bus.
        dbc: the DBC file.
        map: signal → target.

    Returns:
        Where the bus is, and what is mapped.

    Raises:
        Misconfigured: as DbcSensor does.
    """
    if dbc is None or not map:
        raise Misconfigured(f'{_TABLE} needs dbc = "FILE" and map = {{ SIGNAL = "custom.NAME" }}.')
    return parse_address("can", path), _mapped(dbc, map)


def _mapped(dbc: Path, names: Mapping[str, str]) -> tuple[Mapped, ...]:
    try:
        import cantools
    except ModuleNotFoundError:
        raise Misconfigured(f"{_TABLE} needs cantools: pip install 'milepost[agent-can]'") from None
    try:
        database = cantools.database.load_file(str(dbc), database_format="dbc", strict=False)
    except (OSError, UnicodeDecodeError, cantools.Error) as error:
        raise Misconfigured(f"{_TABLE} dbc={str(dbc)!r} cannot be read: {error}") from None
    assert isinstance(database, cantools.database.can.Database)
    known = [(message, signal) for message in database.messages for signal in message.signals]
    return tuple(_map_one(known, name, target) for name, target in names.items())


def _map_one(known: "list[tuple[Message, Signal]]", name: str, target: str) -> Mapped:
    if wrong := wrong_target(target):
        raise Misconfigured(f"{_TABLE} map: {wrong}.")
    found = [(m, s) for m, s in known if name in (s.name, f"{m.name}.{s.name}")]
    if not found:
        near = difflib.get_close_matches(name, [signal.name for _, signal in known], 3) or sorted(
            {signal.name for _, signal in known}
        )
        raise Misconfigured(f"{_TABLE} map: the DBC has no signal {name!r}; it has {', '.join(near[:8])}.")
    if len(found) > 1:
        whole = ", ".join(f"{message.name}.{signal.name}" for message, signal in found)
        raise Misconfigured(f"{_TABLE} map: {name!r} stands in several messages: write one of {whole}.")
    message, signal = found[0]
    few = bool(signal.choices) and signal.length <= _ENUMERATION_BITS and not signal.unit and signal.scale == 1
    words = few and target not in MEASURES
    try:
        factor, offset = factor_and_offset(target, signal.unit or "")
    except ValueError as error:
        raise Misconfigured(f"{_TABLE} map: {name} → {target}: {error}.") from None
    return Mapped(message, signal, target, _by_group(message), words, factor, offset)


def _by_group(message: "Message") -> bool:
    """J1939: the DBC says so, or leaves the sender open as its makers do."""
    return message.is_extended_frame and (message.protocol == "j1939" or message.frame_id & 0xFF == _J1939_NULL)


def _group(can_id: int) -> int:
    """The parameter group of a 29-bit identifier, without priority and sender, and destination where it has one."""
    return Frame(can_id, b"", extended=True).pgn


def _set_aside(raw: int | float, length: int) -> Reason | None:
    """The codes of J1939 that are no values (SAE J1939-71 §5.1.4)."""
    number = int(raw)
    if length < 8 or length % 8:
        top = (1 << length) - 1
        return (
            "not_available" if number == top and length > 1 else "error" if length == 2 and number == top - 1 else None
        )
    top = number >> (length - 8) & 0xFF
    return None if top <= 0xFA else "not_available" if top == 0xFF else "error" if top == 0xFE else "implausible"


def _filters(mapped: tuple[Mapped, ...]) -> "list[CanFilter]":
    """What nobody maps, the kernel drops before it costs a wake-up."""
    wanted: list[CanFilter] = []
    for one in mapped:
        message = one.message
        if one.by_group:
            mask = _TO_ALL if message.frame_id >> 16 & 0xFF >= 0xF0 else _TO_ONE
            wanted.append({"can_id": message.frame_id, "can_mask": mask, "extended": True})
        else:
            mask = 0x1FFFFFFF if message.is_extended_frame else 0x7FF
            wanted.append({"can_id": message.frame_id, "can_mask": mask, "extended": message.is_extended_frame})
    return wanted
