"""Which samples tell of an event: those that thinning a full buffer never drops while anything else is left.

An event is a change against the sample before: of a status, of the active faults, of OBD-II's trouble codes and of the
warning lamps, of the band that a pressure, the
engine's temperature or the battery is in, of what cannot be measured, or of the trouble codes seen since the sample
before; and every harsh manoeuvre. The bands are those that the collector tracks
by default (a test holds the two tables together), so that a thinned backlog still opens the same versions of history.
"""

from bisect import bisect_right
from collections.abc import Mapping
from typing import Any, cast

from agent.sensors.fields import LAMPS, PENDING_CODES, TROUBLE_CODES
from agent.sensors.since_last import Interval
from contract.codec import Json

_HEALTH = "vehicle_health_and_maintenance"
_TYRE = (28, 40, 80, 130)
EXACT = (f"{_HEALTH}.brake_status", f"{_HEALTH}.transmission_status", f"{_HEALTH}.active_faults")
BANDS: dict[str, tuple[float, ...]] = {
    **{
        f"{_HEALTH}.tire_pressure.{corner}": _TYRE
        for corner in ("front_left", "front_right", "rear_left", "rear_right")
    },
    "engine_diagnostics.oil_pressure": (10, 20, 80),
    "engine_diagnostics.engine_temperature": (60, 105, 115),
    "engine_diagnostics.battery_voltage": (9, 11.8, 15.2, 18, 23.6, 30.4),
}


class Events:
    """Remembers the sample before."""

    def __init__(self) -> None:
        self._before: object = None

    def is_event(self, document: Mapping[str, Json], interval: Interval | None = None) -> bool:
        """Whether this sample differs in kind from the one before; the first one does.

        interval: what happened since the sample before.
        """
        reasons = document.get("quality") or {}
        state = (
            [_at(document, leaf) for leaf in (*EXACT, *LAMPS, TROUBLE_CODES, PENDING_CODES)],
            [_band(_at(document, leaf), limits) for leaf, limits in BANDS.items()],
            {name: reason for name, reason in cast(dict[str, Json], reasons).items() if not name.startswith("since_")},
            set(interval.codes) if interval else set(),
        )
        changed, self._before = state != self._before, state
        return changed or bool(interval and interval.manoeuvres)


def _at(document: Mapping[str, Json], leaf: str) -> Any:
    value: Any = document
    for name in leaf.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _band(value: Any, limits: tuple[float, ...]) -> int | None:
    return bisect_right(limits, value) if isinstance(value, int | float) else None
