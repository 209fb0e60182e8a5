"""A virtual truck as a sensor of the real agent: position and time from its satellite receiver, the rest from its bus.

In a tunnel there is no fix: the position is `not_available` and no time is given, so that the agent lives through
what a receiver does to it. A moment after the tunnel all is back.
"""

from datetime import datetime

from agent.sensors import Reading
from simulator.vehicle import Vehicle

_POSITION = "gps_location"


class SimulatedSensor:
    """Implements agent.sensors.Sensor for one vehicle; never raises, never waits."""

    def __init__(self, vehicle: Vehicle) -> None:
        self._vehicle = vehicle

    def read(self, now: datetime) -> Reading:
        """Everything the truck can say at `now`."""
        state = self._vehicle.at(now)
        if not state.in_tunnel:
            return Reading(values=dict(state.values), quality={}, time=now)
        seen = {leaf: value for leaf, value in state.values.items() if not leaf.startswith(_POSITION)}
        return Reading(values=seen, quality={_POSITION: "not_available"}, time=None)

    def close(self) -> None:
        """Nothing to release."""


def open_simulated(path: str | None, *, interval: float) -> SimulatedSensor:
    """`[[agent.sensors]] type = "simulated"`: a truck to try the agent with; `path` may name another than the first."""
    del interval  # the vehicle moves with the time at which it is read
    return SimulatedSensor(Vehicle(path or "TRUCK-001", 1))
