"""A virtual truck as a sensor of the real agent: position and time from its satellite receiver, the rest from its bus.

In a tunnel there is no fix: the position is `not_available` and no time is given, so that the agent lives through
what a receiver does to it. A moment after the tunnel all is back.
"""

from datetime import datetime, timedelta

from agent.sensors import Reading
from simulator.since_last import interval
from simulator.vehicle import Vehicle

_LONGEST = timedelta(hours=2)
"""Between two reads; after more the truck was off, and nothing was heard."""

_POSITION = "gps_location"


class SimulatedSensor:
    """Implements agent.sensors.Sensor for one vehicle; never raises, never waits. since_last: whether a reading has an
    account of the time since the one before, which costs twice as much as the reading."""

    def __init__(self, vehicle: Vehicle, *, since_last: bool = True) -> None:
        self._vehicle, self._since_last = vehicle, since_last
        self._before: datetime | None = None
        self.has_network = True
        """Where the truck was at the last read."""

    def read(self, now: datetime) -> Reading:
        """Everything the truck can say at `now`."""
        state = self._vehicle.at(now)
        self.has_network = state.has_network
        known = self._since_last and self._before is not None and timedelta() < now - self._before <= _LONGEST
        heard = interval(self._vehicle, self._before, now) if self._before and known else None
        self._before = now
        if not state.in_tunnel:
            return Reading(values=dict(state.values), quality={}, time=now, interval=heard)
        seen = {leaf: value for leaf, value in state.values.items() if not leaf.startswith(_POSITION)}
        return Reading(values=seen, quality={_POSITION: "not_available"}, time=None, interval=heard)

    def close(self) -> None:
        """Nothing to release."""


def open_simulated(path: str | None, *, interval: float) -> SimulatedSensor:
    """`[[agent.sensors]] type = "simulated"`: a truck to try the agent with; `path` may name another than the first."""
    del interval  # the vehicle moves with the time at which it is read
    return SimulatedSensor(Vehicle(path or "TRUCK-001", 1))
