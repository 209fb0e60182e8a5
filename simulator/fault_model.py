"""What ails a truck and when: faults that come and go, brakes that wear, tyres that leak.

Everything follows from the truck's key, the time and the kilometres, so that a restarted simulator finds the truck as
it was. Episodes are frequent enough that a demonstration of one hour shows some, far more than a sound fleet has.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import floor
from operator import itemgetter
from random import Random

from simulator import developing
from simulator.weather import chance

Fault = dict[str, int]
"""An active diagnostic trouble code as the wire has it: spn, fmi, count, source."""

WHEELS = ("front_left", "front_right", "rear_left", "rear_right")
_ENGINE, _TRANSMISSION, _TYRES, _EXHAUST = 0, 3, 51, 61  # J1939 source addresses
_HOUR = 3600.0

ENGINE_HOT = (110, 16)
OIL_LOW = (100, 18)
BATTERY_LOW = (168, 18)
_TYRE_LOW = (241, 18)
_GEARBOX_HOT = (177, 16)
_GEARBOX_LIMP = (161, 2)


@dataclass(frozen=True, slots=True)
class Lane:
    """Ailments of which a truck has one at a time: in each window of `every` seconds, `odds` that one comes."""

    every: float
    odds: float
    least: float
    most: float
    codes: tuple[tuple[int, int, int], ...]

    def active(self, key: str, seconds: float) -> Fault | None:
        """The lane's fault at Unix seconds, if there is one."""
        found = self.episode(key, floor(seconds / self.every))
        return found[2] if found and found[0] <= seconds < found[1] else None

    def episode(self, key: str, index: int) -> tuple[float, float, Fault] | None:
        """Start and end in Unix seconds, and the fault, of one window counted from 1970."""
        dice = Random(f"{key}:{self.codes[0]}:{index}")
        if dice.random() >= self.odds:
            return None
        lasts = dice.uniform(self.least, self.most)
        starts = index * self.every + dice.uniform(0, self.every - lasts)
        spn, fmi, source = dice.choice(self.codes)
        return starts, starts + lasts, {"spn": spn, "fmi": fmi, "count": dice.randint(1, 14), "source": source}


_LANES = (
    Lane(
        every=0.75 * _HOUR,
        odds=0.5,
        least=240,
        most=1500,
        codes=(
            (*ENGINE_HOT, _ENGINE),
            (*OIL_LOW, _ENGINE),
            (111, 1, _ENGINE),  # coolant level low
            (97, 0, _ENGINE),  # water in fuel
            (102, 18, _ENGINE),  # boost pressure low
            (651, 5, _ENGINE),  # injector 1, open circuit
            (1569, 31, _ENGINE),  # engine torque derated
        ),
    ),
    Lane(
        every=1.5 * _HOUR,
        odds=0.45,
        least=600,
        most=3600,
        codes=(
            (3251, 0, _EXHAUST),  # particulate filter, differential pressure
            (3719, 16, _EXHAUST),  # particulate filter, soot load
            (4364, 18, _EXHAUST),  # SCR conversion efficiency
            (1761, 17, _EXHAUST),  # exhaust fluid tank low
        ),
    ),
    Lane(
        every=3 * _HOUR,
        odds=0.5,
        least=300,
        most=1800,
        codes=((*BATTERY_LOW, _ENGINE), (84, 2, _ENGINE), (639, 9, _ENGINE)),
    ),
)
_GEARBOX = Lane(
    every=2.5 * _HOUR,
    odds=0.5,
    least=300,
    most=1500,
    codes=((*_GEARBOX_HOT, _TRANSMISSION), (*_GEARBOX_LIMP, _TRANSMISSION)),
)
_PUNCTURE = Lane(every=48 * _HOUR, odds=0.3, least=1800, most=5400, codes=((*_TYRE_LOW, _TYRES),))
_BRAKES_KM = 900.0  # between two services: wears about a hundred times too fast, so that it shows
_FULL_PSI = {"front_left": 105.0, "front_right": 105.0, "rear_left": 98.0, "rear_right": 98.0}
_FLAT_PSI = 32.0
_INFLATED_S = 30 * _HOUR


@dataclass(frozen=True, slots=True)
class TruckHealth:
    """The truck's health at one moment; tyres in psi.

    overheating: °C that a coolant leak adds; sag: V that a weak battery lacks.
    """

    brake_status: str
    transmission_status: str
    tires: dict[str, float]
    faults: list[Fault]
    overheating: float
    sag: float

    def has(self, code: tuple[int, int]) -> bool:
        """Whether a fault of that SPN and FMI is active."""
        return any((fault["spn"], fault["fmi"]) == code for fault in self.faults)


def condition(key: str, *, seconds: float, kilometres: float, ambient: float) -> TruckHealth:
    """The health of the truck `key` at Unix seconds, with so many km on the odometer and so many °C outside."""
    gearbox = _GEARBOX.active(key, seconds)
    puncture = _PUNCTURE.active(key, seconds)
    faults = [lane.active(key, seconds) for lane in _LANES]
    leak = developing.COOLANT_LEAK.at(key, seconds)
    battery = developing.WEAK_BATTERY.at(key, seconds)
    return TruckHealth(
        brake_status=_brakes(key, kilometres),
        transmission_status=_transmission(gearbox),
        tires=_tires(key, seconds, ambient, puncture),
        faults=sorted((fault for fault in (*faults, gearbox, puncture) if fault), key=itemgetter("source", "spn")),
        overheating=leak.size(seconds) if leak else 0.0,
        sag=battery.size(seconds) if battery else 0.0,
    )


def fault_episodes(key: str, start: float, end: float) -> Iterator[tuple[float, float, Fault]]:
    """Start and end in Unix seconds of every fault that touches [start, end), lane by lane."""
    for lane in (*_LANES, _GEARBOX, _PUNCTURE):
        for index in range(floor(start / lane.every), floor(end / lane.every) + 1):
            found = lane.episode(key, index)
            if found and found[1] > start and found[0] < end:
                yield found


def punctured_wheel(fault: Fault) -> str | None:
    """The wheel that a tyre's fault concerns, None for any other fault."""
    return WHEELS[fault["count"] % len(WHEELS)] if (fault["spn"], fault["fmi"]) == _TYRE_LOW else None


def _brakes(key: str, kilometres: float) -> str:
    worn = (kilometres / _BRAKES_KM + chance(f"{key}:brakes")) % 1.0
    return "good" if worn < 0.7 else "worn" if worn < 0.92 else "replace"


def _transmission(fault: Fault | None) -> str:
    if fault is None:
        return "normal"
    return "oil hot" if (fault["spn"], fault["fmi"]) == _GEARBOX_HOT else "limp home"


def _tires(key: str, seconds: float, ambient: float, puncture: Fault | None) -> dict[str, float]:
    flat = punctured_wheel(puncture) if puncture else None
    slow = developing.SLOW_PUNCTURE.at(key, seconds)
    pressures = {}
    for wheel in WHEELS:
        leak = 1.5 + 6 * abs(chance(f"{key}:{wheel}:leak")) ** 2  # psi between two inflations
        since = (seconds / _INFLATED_S + chance(f"{key}:{wheel}:inflated")) % 1.0
        lost = slow.size(seconds) if slow and slow.detail == wheel else 0.0
        pressure = _FULL_PSI[wheel] - leak * since - lost + (ambient - 10) * 0.15
        pressures[wheel] = _FLAT_PSI if wheel == flat else pressure
    return pressures
