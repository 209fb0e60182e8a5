"""A truck: everything its sensors could say at any moment, as a function of (truck_id, seed, time) and nothing else.

No state, no wall clock: two vehicles of one name and seed agree for ever, and a restarted simulator finds the truck
where it would have been. The odometer never falls, the fuel follows the fuel rate and is filled up at the depot, and
speed, gear, engine speed, oil pressure and voltage belong together.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

from simulator import fault_model, powertrain, tour_schedule, weather
from simulator.routes import all_routes

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
_TANK_L = 120.0
_LITRES_PER_KM = 0.19  # more than any tour takes
_FILLING_S = 480.0
_HEALTH = "vehicle_health_and_maintenance"


@dataclass(frozen=True, slots=True)
class State:
    """A truck at one moment. values: dotted wire leaf → value in the wire's units; gear: 0 at a standstill."""

    values: Mapping[str, object]
    in_tunnel: bool
    engine_on: bool
    gear: int


@dataclass(frozen=True, slots=True)
class _Tank:
    """The tours from one filling to the next: level in litres at the start of each, and at the end of the last."""

    first: int
    levels: tuple[float, ...]
    filled_to: float


class Vehicle:
    """One virtual truck; belongs to one thread (it remembers the tour it is on)."""

    def __init__(self, truck_id: str, seed: int) -> None:
        self.truck_id = truck_id
        self.key = f"{seed}:{truck_id}"
        dice = Random(self.key)
        routes = all_routes()
        digits = "".join(letter for letter in truck_id if letter.isdigit())
        self.route = routes[(int(digits) + seed) % len(routes) if digits else dice.randrange(len(routes))]
        self._period = tour_schedule.period(self.route)
        self._offset = dice.uniform(0, self._period)
        self._first_km = dice.uniform(5_000, 180_000)
        self._tours_per_tank = max(1, int(0.7 * _TANK_L / (self.route.length / 1000 * _LITRES_PER_KM)))
        self._tour_number: int | None = None
        self._tour = self._make(0)
        self._tank: _Tank | None = None

    def at(self, moment: datetime) -> State:
        """The truck at an aware datetime; exact to the millisecond."""
        seconds = round(moment.timestamp(), 3)
        number, into = divmod(seconds - _EPOCH + self._offset, self._period)
        phase, elapsed = self._on_tour(int(number)).at(into)
        driven = min(phase.metres_at(elapsed), self.route.length)
        kilometres = max(0.0, self._first_km + (number * self.route.length + driven) / 1000)
        latitude, longitude, altitude = self.route.place(driven)
        temperature, humidity, pressure = weather.air(seconds, altitude)
        health = fault_model.condition(self.key, seconds=seconds, kilometres=kilometres, ambient=temperature)
        speed = max(0.0, phase.speed + phase.acceleration * elapsed)
        values: dict[str, object] = {
            **self._position(latitude, longitude, altitude, seconds=seconds),
            "gps_location.speed": round(max(0.0, speed * 3.6 + self._noise("gps speed", seconds, 0.4)), 1),
            "vehicle_speed": round(speed * 3.6, 1),
            **self._engine(phase, elapsed, health, seconds=seconds),
            "engine_diagnostics.fuel_level": self._fuel_level(int(number), phase.litres_at(elapsed), into),
            "odometer_reading": round(kilometres, 2),
            f"{_HEALTH}.brake_status": health.brake_status,
            **{f"{_HEALTH}.tire_pressure.{wheel}": round(psi * 2) / 2 for wheel, psi in health.tires.items()},
            f"{_HEALTH}.transmission_status": health.transmission_status,
            f"{_HEALTH}.active_faults": health.faults,
            "environmental_conditions.temperature": round(temperature, 1),
            "environmental_conditions.humidity": round(humidity),
            "environmental_conditions.atmospheric_pressure": round(pressure, 1),
        }
        gear = powertrain.gear(speed) if phase.engine_on else 0
        return State(values=values, in_tunnel=phase.tunnel, engine_on=phase.engine_on, gear=gear)

    def _position(self, latitude: float, longitude: float, altitude: float, *, seconds: float) -> dict[str, object]:
        return {
            "gps_location.latitude": round(latitude + self._noise("latitude", seconds, 2e-5), 6),
            "gps_location.longitude": round(longitude + self._noise("longitude", seconds, 3e-5), 6),
            "gps_location.altitude": round(altitude + self._noise("altitude", seconds, 2.5), 1),
        }

    def _engine(
        self, phase: tour_schedule.Phase, elapsed: float, health: fault_model.Condition, *, seconds: float
    ) -> dict[str, object]:
        coolant = phase.temperature_at(elapsed)
        speed = max(0.0, phase.speed + phase.acceleration * elapsed)
        rpm = oil = rate = 0.0
        volts = 12.6
        if phase.engine_on:
            rpm = powertrain.engine_rpm(speed) + self._noise("rpm", seconds, 6)
            oil = powertrain.oil_pressure(rpm, coolant) - (14 if health.has(fault_model.OIL_LOW) else 0)
            rate = phase.rate(elapsed)
            volts = 14.0 + self._noise("volts", seconds, 0.1)
            coolant += 18 * (health.has(fault_model.ENGINE_HOT)) + self._noise("coolant", seconds, 0.6)
        volts -= 1.1 if health.has(fault_model.BATTERY_LOW) else 0
        return {
            "engine_diagnostics.engine_rpm": round(rpm * 8) / 8,
            "engine_diagnostics.engine_temperature": round(coolant, 1),
            "engine_diagnostics.oil_pressure": round(oil, 1),
            "engine_diagnostics.battery_voltage": round(volts, 2),
            "fuel_consumption": round(rate * 20) / 20,
        }

    def _noise(self, what: str, seconds: float, size: float) -> float:
        return weather.chance(f"{self.key}:{what}:{seconds:.3f}") * size

    def _make(self, number: int) -> tour_schedule.Tour:
        return tour_schedule.make(self.route, Random(f"{self.key}:tour:{number}"))

    def _on_tour(self, number: int) -> tour_schedule.Tour:
        if number != self._tour_number:
            self._tour, self._tour_number = self._make(number), number
        return self._tour

    def _fuel_level(self, number: int, used: float, into: float) -> float:
        tank = self._tank_of(number)
        level = tank.levels[number - tank.first] - used
        if number - tank.first == len(tank.levels) - 1:  # the last tour ends at the pump
            filling = max(0.0, 1 - (self._period - into) / _FILLING_S)
            level += (tank.filled_to - level) * filling
        return round(level / _TANK_L * 100, 2)

    def _tank_of(self, number: int) -> _Tank:
        first = number // self._tours_per_tank * self._tours_per_tank
        if self._tank is None or self._tank.first != first:
            levels = [self._full(first)]
            for tour_number in range(first, first + self._tours_per_tank - 1):
                levels.append(levels[-1] - self._make(tour_number).litres)
            self._tank = _Tank(first, tuple(levels), self._full(first + self._tours_per_tank))
        return self._tank

    def _full(self, first: int) -> float:
        return _TANK_L * (0.95 + 0.03 * weather.chance(f"{self.key}:full:{first}"))
