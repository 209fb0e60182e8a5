"""What counts as a change: the tracked key of one sample (docs/history.md, "What is tracked").

The key is a function of one sample only. A deadband against the previous value would make the result depend on the
order of arrival; bands and steps of the value itself do not.
"""

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from contract.codec import Json, canonical, parse
from contract.errors import Misconfigured, Rejected
from contract.telemetry import LEAVES

_HEALTH = "vehicle_health_and_maintenance"
_TYRE_BANDS = {"bands": [28, 40, 80, 130]}
DEFAULT_TRACK: dict[str, Any] = {
    f"{_HEALTH}.brake_status": "exact",
    f"{_HEALTH}.transmission_status": "exact",
    f"{_HEALTH}.active_faults": "exact",
    **{
        f"{_HEALTH}.tire_pressure.{corner}": _TYRE_BANDS
        for corner in ("front_left", "front_right", "rear_left", "rear_right")
    },
    "engine_diagnostics.oil_pressure": {"bands": [10, 20, 80]},
    "engine_diagnostics.engine_temperature": {"bands": [60, 105, 115]},
    "engine_diagnostics.battery_voltage": {"bands": [9, 11.8, 15.2, 18, 23.6, 30.4]},
}
"""Tracked unless a setting says otherwise; docs/history.md gives the reasons."""

EVERY_SAMPLE = "every-sample"
_NOT_NUMBERS = {f"{_HEALTH}.brake_status", f"{_HEALTH}.transmission_status", f"{_HEALTH}.active_faults"}

Measure = Callable[[Json], Json]
Bands = list[float]


@dataclass(frozen=True, slots=True)
class TrackingPolicy:
    """Which fields are tracked, and how finely. `text` is its canonical form, which the store remembers.

    groups: the paths of the objects that hold tracked fields. measures: which of them, the field's name, the bands of
    a plain number where it has such, else none, its measure, none where the value itself counts.
    """

    text: str
    groups: tuple[tuple[str, ...], ...]
    measures: tuple[tuple[int, str, Bands | None, Measure | None], ...]

    @classmethod
    def of(cls, track: str | Mapping[str, Json] | None = None) -> "TrackingPolicy":
        """From the setting `track`: the default where None, "every-sample", or a rule a field.

        Raises Misconfigured, naming the field, for an unknown field or a rule that says nothing.
        """
        if track is None:
            track = DEFAULT_TRACK
        if isinstance(track, str) and track != EVERY_SAMPLE:
            track = _parsed(track)
        if track == EVERY_SAMPLE:
            return cls(canonical(EVERY_SAMPLE), (), ())
        if not isinstance(track, Mapping):
            raise Misconfigured(f'track: must be "{EVERY_SAMPLE}" or a rule a field, not {track!r:.80}')
        for field in track:
            if field not in LEAVES:
                raise Misconfigured(f"track: {field!r} is no measured field; see docs/history.md for the names")
        rules = _parsed(_text({field: rule for field, rule in track.items() if rule != "untracked"}))
        if not rules:
            raise Misconfigured(f'track: no field is tracked; name some, or use "{EVERY_SAMPLE}"')
        paths = {field: tuple(field.split(".")) for field in sorted(rules)}
        groups = tuple(dict.fromkeys(path[:-1] for path in paths.values()))
        measures = (
            (groups.index(path[:-1]), path[-1], *_measure(field, rules[field])) for field, path in paths.items()
        )
        return cls(canonical(rules), groups, tuple(measures))

    def key(self, record: dict[str, Json], order_key: str) -> str:
        """The tracked key of a sample under the wire's names; `order_key` is the key where every sample counts."""
        if not self.measures:
            return order_key
        homes = [_group(record, path) for path in self.groups]
        found: list[Json] = []
        for group, name, bands, measure in self.measures:
            value = homes[group].get(name)
            if bands is not None and (type(value) is float or type(value) is int):
                value = bisect_right(bands, value)
            elif measure is not None and value is not None:
                value = measure(value)
            found.append(value)
        return canonical(found)


def _text(rules: dict[str, Json]) -> str:
    try:
        return canonical(rules)
    except (Rejected, TypeError) as error:  # TOML knows nan and dates
        raise Misconfigured(f"track: the rules must be what JSON can say: {error}") from None


def _parsed(text: str) -> Json:
    try:
        return parse(text)
    except Rejected as error:
        raise Misconfigured(f'track: must be "{EVERY_SAMPLE}" or a JSON object: {error.reason}') from None


def _group(record: dict[str, Json], path: tuple[str, ...]) -> dict[str, Json]:
    for part in path:
        inner = record.get(part)
        if not isinstance(inner, dict):
            return {}
        record = inner
    return record


def _measure(field: str, rule: Json) -> tuple[Bands | None, Measure | None]:
    if rule == "exact":
        return None, None
    if field not in _NOT_NUMBERS and isinstance(rule, dict) and len(rule) == 1:
        bands, step = rule.get("bands"), rule.get("step")
        if isinstance(bands, list) and bands and all(map(_is_number, bands)):
            return _bands(sorted(bands))
        if step is not None and _is_number(step) and step > 0:
            return None, _step(step)
    raise Misconfigured(
        f'track: {field}: the rule must be "exact", "untracked", or for a number {{"bands":[…]}} or {{"step":n}} '
        f"with n over 0, not {rule!r:.80}"
    )


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _exact(number: int | float | Decimal) -> Fraction:
    """The decimal that the JSON text says, not the binary float nearest to it."""
    return Fraction(repr(number) if isinstance(number, float) else number)


def _bands(thresholds: list[int | float | Decimal]) -> tuple[Bands | None, Measure]:
    """Shortest floats sort as their decimal texts do: among them a number need not be exact."""
    exact = [_exact(threshold) for threshold in thresholds]
    plain = None if any(isinstance(threshold, Decimal) for threshold in thresholds) else thresholds
    return plain, lambda value: bisect_right(exact, _exact(value))  # type: ignore[return-value]


def _step(step: int | float | Decimal) -> Measure:
    exact = _exact(step)
    return lambda value: _exact(value) // exact
