"""When an order will be there, from its route plan and its truck's progress, and how sure that is.

A pure function of what is known. Three bases, the best that there is: `plan and position` (the ways left, from where
the truck is), `plan` (the planned time, moved by the delay at the truck's last stop), `position` (straight to the door:
the earliest that can be, since the stops before it are not known).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from commerce.routes.distances import DETOUR, SPEED_KMH, great_circle_km
from commerce.routes.problem import Coordinates
from contract import timestamps

FRESH_MS = 10 * 60_000
"""A position older than this says nothing about where the truck is now."""

_LEAST_MS = 5 * 60_000
_SHARE = {"plan and position": 0.15, "plan": 0.25, "position": 0.75}
"""How far off an estimate may be, as a share of the time left; docs/commerce.md says how it was chosen."""

Known = Mapping[str, Any]


def estimate(
    state: Known, route: Known | None, position: Known | None, *, missing: int | None, now_ms: int
) -> dict[str, Any] | None:
    """Estimate the arrival of an order that is not delivered yet.

    Args:
        state: the order's state (`commerce.orders.state.order_state`).
        route: its truck's stops in the plan in force (`Plans.stop_of`), None where no plan names the order.
        position: the truck's newest one, `{sampled_at, latitude, longitude}`, None where there is none.
        missing: samples of the truck that have not arrived, None where that is not known.
        now_ms: Unix ms.

    Returns:
        `{arrive_at, earliest, latest, basis, last_heard_at, missing_samples, stops_before}`, None where nothing can be
        said: the order is done, or neither planned nor on a truck that was heard of. earliest and latest are widened by
        the time since the truck was last heard.
    """
    if state["state"] not in ("placed", "packed", "loaded"):
        return None
    loaded = state["state"] == "loaded"
    heard_ms = timestamps.to_ms(position["sampled_at"]) if position and loaded else None
    here = _place(position) if position and heard_ms is not None and now_ms - heard_ms <= FRESH_MS else None
    door = _place(state.get("shipping") or {})
    left = _stops_left(route, state["order_id"]) if route else None
    if left and here and loaded:
        basis, arrive_ms = "plan and position", _along(here, left, now_ms)
    elif route and left:
        basis, arrive_ms = "plan", max(timestamps.to_ms(left[-1]["arrive_at"]) + _delay(route), now_ms)
    elif here and door:
        basis, arrive_ms = "position", now_ms + _way_ms(here, door)
    else:
        return None
    silent = 0 if heard_ms is None else max(0, now_ms - heard_ms)
    margin = _LEAST_MS + round((arrive_ms - now_ms) * _SHARE[basis]) + silent
    before = margin if basis != "position" else 0
    return {
        "arrive_at": timestamps.from_ms(arrive_ms),
        "earliest": timestamps.from_ms(max(now_ms, arrive_ms - before)),
        "latest": timestamps.from_ms(arrive_ms + margin),
        "basis": basis,
        "last_heard_at": position["sampled_at"] if position and loaded else None,
        "missing_samples": missing if loaded else None,
        "stops_before": len(left) - 1 if left else None,
    }


def _stops_left(route: Known, order_id: str) -> Sequence[Known] | None:
    """The stops up to the order's own that are not done yet, its own last."""
    stops: Sequence[Known] = route["stops"]
    own = next(index for index, stop in enumerate(stops) if stop["order_id"] == order_id)
    return [stop for stop in stops[: own + 1] if stop["done_at"] is None or stop["order_id"] == order_id]


def _along(here: Coordinates, left: Sequence[Known], now_ms: int) -> int:
    """When the last of these stops is reached: the ways between, and the planned time at each."""
    at_ms = now_ms
    for index, stop in enumerate(left):
        there = _place(stop)
        at_ms += _way_ms(here, there) if there else 0
        here = there or here
        if index < len(left) - 1:
            at_ms += timestamps.to_ms(stop["leave_at"]) - timestamps.to_ms(stop["arrive_at"])
    return at_ms


def _delay(route: Known) -> int:
    """How late the truck was at the last stop that is done, in ms; 0 before the first."""
    done = [stop for stop in route["stops"] if stop["done_at"] and stop["state"] != "cancelled"]
    if not done:
        return 0
    last = max(done, key=lambda stop: str(stop["done_at"]))
    return timestamps.to_ms(last["done_at"]) - timestamps.to_ms(last["arrive_at"])


def _way_ms(here: Coordinates, there: Coordinates) -> int:
    return round(great_circle_km(here, there) * DETOUR / SPEED_KMH * 3_600_000)


def _place(found: Known) -> Coordinates | None:
    if found.get("latitude") is None or found.get("longitude") is None:
        return None
    return Coordinates(found["latitude"], found["longitude"])
