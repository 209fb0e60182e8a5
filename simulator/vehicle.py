"""A truck: everything its sensors could say at any moment, as a function of (truck_id, seed, time) and nothing else.

No state, no wall clock: two vehicles of one name and seed agree for ever, and a restarted simulator finds the truck
where it would have been. The odometer never falls, the fuel follows the fuel rate and is filled up at the depot, and
speed, gear, engine speed, oil pressure and voltage belong together.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

from simulator import fault_model, hardships, powertrain, tour_schedule, weather
from simulator.routes import all_routes

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
TANK_L = 120.0
_LITRES_PER_KM = 0.19  # more than any tour takes
_FILLING_S = 480.0
_THEFT_ODDS = 0.25  # between two fillings
_THEFT_S = 420.0
_THEFT_SHARE = (0.075, 0.11)  # of the tank
_HEALTH = "vehicle_health_and_maintenance"


@dataclass(frozen=True, slots=True)
class State:
    """A truck at one moment. values: dotted wire leaf → value in the wire's units; gear: 0 at a standstill."""

    values: Mapping[str, object]
    in_tunnel: bool
    engine_on: bool
    gear: int
    has_network: bool


@dataclass(frozen=True, slots=True)
class _Tank:
    """The tours from one filling to the next: level in litres at the start of each, and at the end of the last.

    levels: before theft, which `theft` takes away until the filling.
    """

    first: int
    levels: tuple[float, ...]
    filled_to: float
    theft: "Theft | None"


@dataclass(frozen=True, slots=True)
class Theft:
    """Fuel that somebody pumps out of the standing truck. start: seconds into the tour; litres over `seconds`."""

    tour: int
    start: float
    seconds: float
    litres: float

    def litres_gone(self, tour: int, into: float) -> float:
        """Litres that are gone, `into` seconds into a tour."""
        if tour != self.tour:
            return self.litres if tour > self.tour else 0.0
        return self.litres * min(1.0, max(0.0, (into - self.start) / self.seconds))


@dataclass(frozen=True, slots=True)
class Refuel:
    """One filling at the depot. start, end: Unix seconds; before, after: litres in the tank."""

    start: float
    end: float
    before: float
    after: float


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
        self._tours_per_tank = max(1, int(0.7 * TANK_L / (self.route.length / 1000 * _LITRES_PER_KM)))
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
        return State(
            values=values,
            in_tunnel=phase.tunnel,
            engine_on=phase.engine_on,
            gear=gear,
            has_network=hardships.has_network(self.route, driven),
        )

    def _position(self, latitude: float, longitude: float, altitude: float, *, seconds: float) -> dict[str, object]:
        return {
            "gps_location.latitude": round(latitude + self._noise("latitude", seconds, 2e-5), 6),
            "gps_location.longitude": round(longitude + self._noise("longitude", seconds, 3e-5), 6),
            "gps_location.altitude": round(altitude + self._noise("altitude", seconds, 2.5), 1),
        }

    def _engine(
        self, phase: tour_schedule.Phase, elapsed: float, health: fault_model.TruckHealth, *, seconds: float
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
            hot = 18 * health.has(fault_model.ENGINE_HOT) + health.overheating
            coolant += hot + self._noise("coolant", seconds, 0.6)
        volts -= (1.1 if health.has(fault_model.BATTERY_LOW) else 0) + health.sag
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
        level = tank.levels[number - tank.first] - used - (tank.theft.litres_gone(number, into) if tank.theft else 0.0)
        if number - tank.first == len(tank.levels) - 1:  # the last tour ends at the pump
            filling = max(0.0, 1 - (self._period - into) / _FILLING_S)
            level += (tank.filled_to - level) * filling
        return round(level / TANK_L * 100, 2)

    def _tank_of(self, number: int) -> _Tank:
        first = number // self._tours_per_tank * self._tours_per_tank
        if self._tank is None or self._tank.first != first:
            levels = [self._full(first)]
            for tour_number in range(first, first + self._tours_per_tank - 1):
                levels.append(levels[-1] - self._make(tour_number).litres)
            filled_to = self._full(first + self._tours_per_tank)
            self._tank = _Tank(first, tuple(levels), filled_to, self._theft(first))
        return self._tank

    def _theft(self, first: int) -> Theft | None:
        """Between two fillings at most one, at a long standstill with the engine off."""
        dice = Random(f"{self.key}:theft:{first}")
        if dice.random() >= _THEFT_ODDS or self._tours_per_tank < 2:
            return None
        tour = first + dice.randrange(self._tours_per_tank - 1)
        quiet = [phase for phase in self._make(tour).phases if not phase.engine_on and phase.seconds >= _THEFT_S]
        if not quiet:
            return None
        phase = dice.choice(quiet)
        pumped = phase.seconds / 3
        return Theft(tour, phase.start + pumped / 2, pumped, TANK_L * dice.uniform(*_THEFT_SHARE))

    # -- what really happened, for `simulator.truths`

    def kilometres(self, seconds: float) -> float:
        """The true odometer at Unix seconds."""
        number, into = self._tour_at(seconds)
        phase, elapsed = self._on_tour(number).at(into)
        return self._first_km + (number * self.route.length + min(phase.metres_at(elapsed), self.route.length)) / 1000

    def phases(self, start: float, end: float) -> Iterator[tuple[float, tour_schedule.Phase]]:
        """The phases that touch [start, end), each with the Unix seconds at which it begins."""
        for number in range(self._tour_at(start)[0], self._tour_at(end)[0] + 1):
            begin = self._begin(number)
            for phase in self._on_tour(number).phases:
                at = begin + phase.start
                if at < end and at + phase.seconds > start:
                    yield at, phase

    def refuels(self, start: float, end: float) -> Iterator[Refuel]:
        """The fillings that touch [start, end)."""
        for number, tank in self._tanks(start, end):
            last = number + self._tours_per_tank - 1
            full_at = self._begin(last + 1)
            if full_at > start and full_at - _FILLING_S < end:
                before = tank.levels[-1] - self._make(last).litres - (tank.theft.litres if tank.theft else 0.0)
                yield Refuel(full_at - _FILLING_S, full_at, before, tank.filled_to)

    def thefts(self, start: float, end: float) -> Iterator[tuple[float, float, Theft]]:
        """The thefts that touch [start, end): start and end in Unix seconds, and the theft."""
        for _, tank in self._tanks(start, end):
            if tank.theft:
                at = self._begin(tank.theft.tour) + tank.theft.start
                if at < end and at + tank.theft.seconds > start:
                    yield at, at + tank.theft.seconds, tank.theft

    def shifts(self, start: float, end: float) -> Iterator[tuple[float, float, tour_schedule.Driver, float]]:
        """The tours that touch [start, end): start and end in Unix seconds, who drives, and the tonnes at the depot."""
        for number in range(self._tour_at(start)[0], self._tour_at(end)[0] + 1):
            begin, tour = self._begin(number), self._on_tour(number)
            yield begin, begin + self._period, tour.driver, tour.phases[0].load_t

    def driver_at(self, seconds: float) -> tour_schedule.Driver:
        """Who drives at Unix seconds."""
        return self._on_tour(self._tour_at(seconds)[0]).driver

    def place_at(self, seconds: float) -> tuple[float, float]:
        """The true latitude and longitude at Unix seconds."""
        number, into = self._tour_at(seconds)
        phase, elapsed = self._on_tour(number).at(into)
        latitude, longitude, _ = self.route.place(min(phase.metres_at(elapsed), self.route.length))
        return latitude, longitude

    def _tanks(self, start: float, end: float) -> Iterator[tuple[int, _Tank]]:
        first = self._tour_at(start)[0] // self._tours_per_tank * self._tours_per_tank
        for number in range(first, self._tour_at(end)[0] + 1, self._tours_per_tank):
            yield number, self._tank_of(number)

    def _tour_at(self, seconds: float) -> tuple[int, float]:
        number, into = divmod(seconds - _EPOCH + self._offset, self._period)
        return int(number), into

    def _begin(self, number: int) -> float:
        return _EPOCH - self._offset + number * self._period

    def _full(self, first: int) -> float:
        return TANK_L * (0.95 + 0.03 * weather.chance(f"{self.key}:full:{first}"))
