"""The J1939 parameters that the wire has a leaf for (SAE J1939-71 and its digital annex), as a table.

Only parameters whose meaning is certain: there is no standard one for the health of brakes or transmission (SPN 597
says that a foot is on the pedal), so those two leaves stay with other sensors.
"""

from typing import NamedTuple

from agent.sensors.fields import PSI_PER_KPA, TIRES, Reason, is_custom, settle

TIRE_PGN = 65268
LEAST_LIMIT = 5.0
"""Seconds that any signal may be silent, however often it is due."""


class Signal(NamedTuple):
    """One parameter. `start` counts bytes from 1 as the standard does; `bits` is 8, 16 or 32, little endian.

    scale, offset and unit are the standard's; `factor` leads from there to the wire's unit.
    period: nominal seconds between two frames. leaf: where it goes ("" where that depends on the frame).
    """

    pgn: int
    spn: int
    start: int
    bits: int
    scale: float
    offset: float
    unit: str
    leaf: str
    period: float = 1.0
    factor: float = 1.0

    @property
    def limit(self) -> float:
        """Seconds of silence after which its value is stale."""
        return max(LEAST_LIMIT, 5 * self.period)

    def raw(self, data: bytes) -> int | Reason:
        """The bare number in a payload, or why there is none: the codes that J1939 sets aside above 0xFA…"""
        piece = data[self.start - 1 : self.start - 1 + self.bits // 8]
        if len(piece) * 8 < self.bits:
            return "not_available"
        number, top = int.from_bytes(piece, "little"), piece[-1]
        if top <= 0xFA:
            return number
        return _RESERVED.get(top, "implausible")

    def decode(self, data: bytes, leaf: str = "") -> float | Reason:
        """The value in the wire's unit and decimals, or why there is none."""
        number = self.raw(data)
        if isinstance(number, str):
            return number
        value = (number * self.scale + self.offset) * self.factor
        return round(value, 3) if is_custom(self.leaf) else settle(leaf or self.leaf, value)


_RESERVED: dict[int, Reason] = {0xFF: "not_available", 0xFE: "error"}

_ENGINE = "engine_diagnostics"
_GPS = "gps_location"
_AIR = "environmental_conditions"

SIGNALS: tuple[Signal, ...] = (
    # EEC1: engine speed
    Signal(61444, 190, 4, 16, 0.125, 0, "rpm", f"{_ENGINE}.engine_rpm", period=0.1),
    # CCVS1: wheel-based vehicle speed
    Signal(65265, 84, 2, 16, 1 / 256, 0, "km/h", "vehicle_speed", period=0.1),
    # DD1: fuel level, first or left tank
    Signal(65276, 96, 2, 8, 0.4, 0, "%", f"{_ENGINE}.fuel_level"),
    # ET1: coolant temperature
    Signal(65262, 110, 1, 8, 1, -40, "°C", f"{_ENGINE}.engine_temperature"),
    # EFL/P1: oil pressure
    Signal(65263, 100, 4, 8, 4, 0, "kPa", f"{_ENGINE}.oil_pressure", 0.5, PSI_PER_KPA),
    # VEP1: battery potential; what the key switch sees is the second choice
    Signal(65271, 168, 5, 16, 0.05, 0, "V", f"{_ENGINE}.battery_voltage"),
    Signal(65271, 158, 7, 16, 0.05, 0, "V", f"{_ENGINE}.battery_voltage"),
    # VDHR: total distance in steps of 5 m; VD in steps of 125 m is the second choice
    Signal(65217, 917, 1, 32, 0.005, 0, "km", "odometer_reading"),
    Signal(65248, 245, 5, 32, 0.125, 0, "km", "odometer_reading"),
    # LFE1: fuel rate
    Signal(65266, 183, 1, 16, 0.05, 0, "L/h", "fuel_consumption", period=0.1),
    # AMB: ambient temperature and barometric pressure
    Signal(65269, 171, 4, 16, 0.03125, -273, "°C", f"{_AIR}.temperature"),
    Signal(65269, 108, 1, 8, 0.5, 0, "kPa", f"{_AIR}.atmospheric_pressure", factor=10),
    # VP: position; VDS: speed and altitude from navigation
    Signal(65267, 584, 1, 32, 1e-7, -210, "deg", f"{_GPS}.latitude", period=5),
    Signal(65267, 585, 5, 32, 1e-7, -210, "deg", f"{_GPS}.longitude", period=5),
    Signal(65256, 517, 3, 16, 1 / 256, 0, "km/h", f"{_GPS}.speed", period=5),
    Signal(65256, 580, 7, 16, 0.125, -2500, "m", f"{_GPS}.altitude", period=5),
)
"""Where two feed one leaf, the one that stands first is preferred."""

TOTALS: tuple[Signal, ...] = (
    # LFC: fuel used in the engine's life
    Signal(65257, 250, 5, 32, 0.5, 0, "L", "custom.total_fuel_used", period=10),
    # HOURS: hours that the engine ran in its life
    Signal(65253, 247, 1, 32, 0.05, 0, "h", "custom.engine_hours", period=10),
    # DD1: fuel level, second or right tank
    Signal(65276, 38, 7, 8, 0.4, 0, "%", "custom.fuel_level_2"),
)
"""What the wire has no field of its own for; of several sources the lowest address is taken, the engine's before
all, and no other one in its place once that has spoken."""

TIRE_PRESSURE = Signal(TIRE_PGN, 241, 2, 8, 4, 0, "kPa", "", period=10, factor=PSI_PER_KPA)
"""TIRE: one tyre a frame; which one stands in its first byte (SPN 929), see `corners`."""

PGNS: frozenset[int] = frozenset(signal.pgn for signal in (*SIGNALS, *TOTALS, TIRE_PRESSURE))

CORNERS = tuple(f"{TIRES}.{corner}" for corner in ("front_left", "front_right", "rear_left", "rear_right"))


def corners(locations: set[int]) -> dict[str, int]:
    """The wire's corner → the location byte (SPN 929) of its outer tyre, of all locations heard so far.

    The high four bits count axles from the front, the low four tyres from the left; makers count a single-tyred axle
    0,1 or 1,2 and a twin-tyred one 0 to 3. So an axle's middle lies between its outermost tyres; where only one side
    is heard, 0 is left and 2 or more is right. Front is axle 0, rear the first axle behind it that is heard.
    """
    rear = min((location >> 4 for location in locations if location >> 4), default=None)
    outer = (*_outer(locations, 0), *_outer(locations, rear))
    return {corner: location for corner, location in zip(CORNERS, outer, strict=True) if location is not None}


def _outer(locations: set[int], axle: int | None) -> tuple[int | None, int | None]:
    """The locations of one axle's outermost tyres, left and right; None for a side not heard or not certain."""
    tyres = sorted(location for location in locations if location >> 4 == axle)
    if not tyres:
        return None, None
    first, last = tyres[0], tyres[-1]
    left = first & 0xF == 0 or (first & 0xF == 1 and last > first)
    right = last & 0xF >= 2 or last > first
    return first if left else None, last if right else None
