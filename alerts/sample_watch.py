"""One rule over one truck's samples, taken in the order of history: pure, and its answer depends on no window.

A watch that begins in the middle of a history cannot know whether what it sees first began earlier. It says so
(`is_anchored`), and whoever feeds it then begins earlier.
"""

from statistics import median
from typing import Any

from alerts.alert import Stretch
from alerts.day_span import end_of_span
from alerts.rules import Rule
from contract import timestamps
from contract.fault_texts import fault_text
from contract.records import at

Sample = dict[str, Any]
"""A sample's document as `milepost history` shows it."""

ENGINE = "engine_diagnostics.engine_rpm"
_MOST_SEEN = 3
_FEWEST_OTHERS = 2
_LONGEST_TEXT = 200


class _Held:
    """A stretch that goes on."""

    __slots__ = ("count", "first", "first_ms", "last", "last_ms", "seen", "value")

    def __init__(self, instant: str, ms: int, value: str) -> None:
        self.first = self.last = instant
        self.first_ms = self.last_ms = ms
        self.count = 1
        self.seen = [(instant, value)]
        self.value = value

    def extend(self, instant: str, ms: int, value: str) -> None:
        self.last, self.last_ms, self.value = instant, ms, value
        self.count += 1
        if len(self.seen) < _MOST_SEEN:
            self.seen.append((instant, value))

    def stretch(self, name: str, ended: str | None) -> Stretch:
        last = (self.last, self.value)
        seen = self.seen if self.seen[-1][0] == self.last else [*self.seen, last]
        return Stretch(name, self.first, self.last, ended, tuple(seen))


class SampleWatch:
    """See the module; `watch_of` makes the right one.

    Args:
        rule: of one of SAMPLE_KINDS.
        begin_ms: Unix ms from which on samples are fed; None for a truck's whole history.
    """

    def __init__(self, rule: Rule, begin_ms: int | None) -> None:
        self.rule = rule
        self._names = ("",) if len(rule.leaves) <= 1 else tuple(map(_short, rule.leaves))
        self._doubt_ms = begin_ms
        self._first_known: dict[str, int] = {}
        self._reaches_back = False
        self._held: dict[str, _Held] = {}
        self._done: list[Stretch] = []

    def add(self, instant: str, ms: int, sample: Sample) -> None:
        """The next sample in the order of history; `ms` is its instant in Unix ms."""
        for name, each in [*self._held.items()]:
            if ms - each.last_ms > self.rule.gap_ms:
                self._end(name, each.last)
        for name, value in self._values_then(ms, sample).items():
            if value is None:
                if name in self._held:
                    self._end(name, instant)
            elif name in self._held:
                self._held[name].extend(instant, ms, value)
            else:
                self._held[name] = _Held(instant, ms, value)
                self._reaches_back |= self._is_doubtful(name, ms)
            self._first_known.setdefault(self._known_as(name), ms)

    def is_anchored(self, since_ms: int) -> bool:
        """Whether everything that goes on at an instant (Unix ms) is known from its beginning."""
        if self._doubt_ms is None:
            return True
        seen = all(self._first_known.get(name, since_ms) < since_ms for name in self._names)
        return not self._reaches_back and (seen or since_ms - self._doubt_ms > self.rule.gap_ms)

    @property
    def known_from(self) -> str:
        """The instant from which on every stretch that begins is found; "" for a whole history."""
        return "" if self._doubt_ms is None else timestamps.from_ms(max(self._doubt_ms, 0))

    @property
    def done(self) -> int:
        """How many stretches it remembers that are over."""
        return len(self._done)

    @property
    def is_open(self) -> bool:
        """Whether its condition held when it was last known: the passing of time alone may then end it."""
        return bool(self._held)

    def stretches(self, now_ms: int) -> list[Stretch]:
        """Those that lasted long enough, by name and time; now is Unix ms, not before the last sample."""
        found = [*self._done]
        for name, each in self._held.items():
            if self._lasts(each):
                over = now_ms - each.last_ms > self.rule.gap_ms
                found.append(each.stretch(name, each.last if over else None))
        return sorted(found, key=lambda stretch: (stretch.first, stretch.name))

    def _end(self, name: str, ended: str) -> None:
        each = self._held.pop(name)
        if self._lasts(each):
            self._done.append(each.stretch(name, ended))

    def _lasts(self, each: _Held) -> bool:
        return each.last_ms - each.first_ms >= self.rule.minutes * 60_000 and each.count >= self.rule.samples

    def _is_doubtful(self, name: str, ms: int) -> bool:
        """Whether what is first seen now may have gone on before the first sample that was fed."""
        first = self._first_known.get(self._known_as(name), ms) == ms
        return first and self._doubt_ms is not None and ms - self._doubt_ms <= self.rule.gap_ms

    def _known_as(self, name: str) -> str:
        return name if name in self._names else ""

    def _values_then(self, ms: int, sample: Sample) -> dict[str, str | None]:
        """The values, at the times of the day and of the engine at which the rule watches."""
        values = self._values(ms, sample)
        none = dict.fromkeys((*self._names, *values, *self._held))
        if self.rule.between and end_of_span(self.rule.between, self.rule.zone, ms) is None:
            return none
        if self.rule.while_running:
            speed = at(sample, ENGINE)
            if speed is None:
                return {}
            if speed <= 0:
                return none
        return values

    def _values(self, ms: int, sample: Sample) -> dict[str, str | None]:
        """name → what is seen where the condition holds, None where it does not; what is not known is left out."""
        raise NotImplementedError


class _NumberWatch(SampleWatch):
    """`above` and `below`."""

    def _values(self, ms: int, sample: Sample) -> dict[str, str | None]:
        found = zip(self._names, (at(sample, leaf) for leaf in self.rule.leaves), strict=True)
        return {name: self._seen(value) for name, value in found if value is not None}

    def _seen(self, value: Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None  # a custom field that is no number
        bound = self.rule.value or 0
        return f"{value:g}" if (value > bound if self.rule.kind == "above" else value < bound) else None


class _OthersWatch(SampleWatch):
    def _values(self, ms: int, sample: Sample) -> dict[str, str | None]:
        found = zip(self._names, (at(sample, leaf) for leaf in self.rule.leaves), strict=True)
        known = {name: float(value) for name, value in found if value is not None}
        if len(known) < _FEWEST_OTHERS + 1:
            return {}
        return {
            name: f"{value:g}, others {median(others):g}" if value < (self.rule.value or 0) * median(others) else None
            for name, value in known.items()
            for others in [[each for other, each in known.items() if other != name]]
        }


class _WordWatch(SampleWatch):
    def _values(self, ms: int, sample: Sample) -> dict[str, str | None]:
        status = at(sample, self.rule.field or "")
        if status is None:
            return {}
        text = str(status)[:_LONGEST_TEXT]
        return {"": text if any(word in text.lower() for word in self.rule.words) else None}


class _FaultWatch(SampleWatch):
    """Each code is a name of its own: one that is not listed is over."""

    def _values(self, ms: int, sample: Sample) -> dict[str, str | None]:
        faults = at(sample, self.rule.field or "")
        if faults is None:
            return {}
        codes = {f"fault {fault['spn']}/{fault['fmi']}": fault_text(fault["spn"], fault["fmi"]) for fault in faults}
        return {"": None, **dict.fromkeys(self._held), **codes}


class _DropWatch(SampleWatch):
    """A level below what it was while the truck stood, within the hour before or at the last reading before that."""

    _MEMORY_MS = 3_600_000
    _MOVED_KM = 1.0

    def __init__(self, rule: Rule, begin_ms: int | None) -> None:
        super().__init__(rule, begin_ms)
        self._readings: list[_Reading] = []
        self._reference = 0.0
        self._trusted_ms: int | None = None if begin_ms is not None else 0

    def _values(self, ms: int, sample: Sample) -> dict[str, str | None]:
        level = at(sample, self.rule.field or "")
        if level is None:
            return {}
        now = _Reading(ms, level, sample.get("odometer_reading"), bool(at(sample, ENGINE)))
        before = self._readings
        if before and now.drove_from(before[-1], self._MOVED_KM):
            before = []
        recent = [each for each in before if ms - each.ms <= self._MEMORY_MS]
        compared = recent or before[-1:]
        self._readings = [*compared, now]
        if self._trusted_ms is None:
            self._trusted_ms = ms + self._MEMORY_MS
        if ms < self._trusted_ms:
            self._doubt_ms = ms
            return {}
        held = self._held.get("")
        if not held or held.count >= self.rule.samples:  # until then it may drive on: the fall has to stay, that is all
            self._reference = max((each.level for each in compared), default=level)
        fell = self._reference - level >= (self.rule.value or 0)
        return {"": f"from {self._reference:g} to {level:g}" if fell else None}


class _Reading:
    __slots__ = ("is_running", "level", "ms", "odometer")

    def __init__(self, ms: int, level: float, odometer: float | None, is_running: bool) -> None:
        self.ms, self.level, self.odometer, self.is_running = ms, level, odometer, is_running

    def drove_from(self, before: "_Reading", moved_km: float) -> bool:
        """By the odometer where it is known at both, else by an engine that ran at both."""
        if self.odometer is not None and before.odometer is not None:
            return self.odometer - before.odometer >= moved_km
        return self.is_running and before.is_running


class _ZoneWatch(SampleWatch):
    """`inside` and `zone_speed`: each zone is a name of its own. `outside`: there is one name."""

    def _values(self, ms: int, sample: Sample) -> dict[str, str | None]:
        latitude, longitude = at(sample, "gps_location.latitude"), at(sample, "gps_location.longitude")
        if latitude is None or longitude is None or not self.rule.areas:
            return {}
        around = [zone for zone in self.rule.areas if zone.contains(latitude, longitude)]
        if self.rule.kind == "outside":
            return {"": None if around else f"at {latitude:.4f}, {longitude:.4f}"}
        if self.rule.kind == "inside":
            seen = {zone.id: zone.name if zone.name != zone.id else "" for zone in around}
            return {"": None, **dict.fromkeys(self._held), **seen}
        speed = at(sample, "vehicle_speed")
        speed = at(sample, "gps_location.speed") if speed is None else speed
        if speed is None:
            return {}
        limits = {zone.id: zone.speed_limit_kmh for zone in around}
        fast = {name: f"{speed:g} of {limit:g} km/h" for name, limit in limits.items() if limit and speed > limit}
        return {"": None, **dict.fromkeys(self._held), **fast}


class _HarshWatch(SampleWatch):
    """Harsh manoeuvres within the hour before; a truck that does not send `since_last` is not known."""

    _MEMORY_MS = 3_600_000

    def __init__(self, rule: Rule, begin_ms: int | None) -> None:
        super().__init__(rule, begin_ms)
        self._events: list[tuple[int, str]] = []
        self._trusted_ms: int | None = None if begin_ms is not None else 0

    def _values(self, ms: int, sample: Sample) -> dict[str, str | None]:
        since_last = sample.get("since_last")
        if not since_last:
            return {}
        self._events += [(timestamps.to_ms(each["at"]), each["kind"]) for each in since_last.get("harsh") or ()]
        self._events = [each for each in self._events if ms - each[0] <= self._MEMORY_MS]
        if self._trusted_ms is None:
            self._trusted_ms = ms + self._MEMORY_MS
        if ms < self._trusted_ms:
            self._doubt_ms = ms
            return {}
        kinds = ", ".join(sorted({kind for _, kind in self._events}))
        many = len(self._events) >= (self.rule.value or 0)
        return {"": f"{len(self._events)} within an hour: {kinds}" if many else None}


_WATCHES: dict[str, type[SampleWatch]] = {
    "above": _NumberWatch,
    "below": _NumberWatch,
    "below_others": _OthersWatch,
    "words": _WordWatch,
    "fault": _FaultWatch,
    "drop": _DropWatch,
    "harsh": _HarshWatch,
    "inside": _ZoneWatch,
    "outside": _ZoneWatch,
    "zone_speed": _ZoneWatch,
}


def watch_of(rule: Rule, begin_ms: int | None = None) -> SampleWatch:
    """The watch of a rule of one of SAMPLE_KINDS; see `SampleWatch` for begin_ms."""
    return _WATCHES[rule.kind](rule, begin_ms)


def _short(leaf: str) -> str:
    return leaf.rpartition(".")[2]
