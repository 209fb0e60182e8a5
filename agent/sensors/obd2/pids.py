"""The mode 01 parameters we know (SAE J1979), as a table. Those without a leaf are decoded for diagnosis only."""

from collections.abc import Iterator
from typing import NamedTuple

from agent.sensors.fields import Reason, settle

ANSWER = 0x41
"""First byte of an answer to mode 01."""
SUPPORTED = range(0x00, 0xE0, 0x20)
"""PIDs whose four bytes say which of the next 32 a control unit has, the highest bit first."""
LEAST_LIMIT = 5.0
"""Seconds that any parameter may be silent, however often it is asked for."""


class Pid(NamedTuple):
    """One parameter: its value is number · scale + offset, the number being all `size` bytes, big endian.

    unit: of the standard; `factor` leads from there to the wire's. period: seconds between two questions.
    """

    pid: int
    name: str
    size: int
    scale: float
    offset: float
    unit: str
    leaf: str = ""
    period: float = 1.0
    factor: float = 1.0

    @property
    def limit(self) -> float:
        """Seconds of silence after which its value is stale."""
        return max(LEAST_LIMIT, 5 * self.period)

    def value(self, data: bytes) -> float:
        """In the standard's unit; `data` has `size` bytes."""
        return int.from_bytes(data, "big") * self.scale + self.offset

    def decode(self, data: bytes) -> float | Reason:
        """In the wire's unit and decimals, or why not."""
        return settle(self.leaf, self.value(data) * self.factor)


_ENGINE = "engine_diagnostics"
_AIR = "environmental_conditions"

PIDS: dict[int, Pid] = {
    pid.pid: pid
    for pid in (
        Pid(0x04, "calculated engine load", 1, 100 / 255, 0, "%"),
        Pid(0x05, "coolant temperature", 1, 1, -40, "°C", f"{_ENGINE}.engine_temperature"),
        Pid(0x0B, "intake manifold pressure", 1, 1, 0, "kPa"),
        Pid(0x0C, "engine speed", 2, 1 / 4, 0, "rpm", f"{_ENGINE}.engine_rpm"),
        Pid(0x0D, "vehicle speed", 1, 1, 0, "km/h", "vehicle_speed"),
        Pid(0x11, "throttle position", 1, 100 / 255, 0, "%"),
        Pid(0x2F, "fuel level", 1, 100 / 255, 0, "%", f"{_ENGINE}.fuel_level", 10),
        Pid(0x33, "barometric pressure", 1, 1, 0, "kPa", f"{_AIR}.atmospheric_pressure", 3, 10),
        Pid(0x42, "control module voltage", 2, 0.001, 0, "V", f"{_ENGINE}.battery_voltage", 3),
        Pid(0x46, "ambient temperature", 1, 1, -40, "°C", f"{_AIR}.temperature", 10),
        Pid(0x5E, "fuel rate", 2, 0.05, 0, "L/h", "fuel_consumption"),
        Pid(0x62, "actual engine torque", 1, 1, -125, "%"),
        Pid(0xA6, "odometer", 4, 0.1, 0, "km", "odometer_reading", 10),
    )
}

_SIZES: dict[int, int] = {
    **dict.fromkeys(range(0x04, 0x12), 1),
    **dict.fromkeys(SUPPORTED, 4),
    **dict.fromkeys((0x01, 0x41, 0x4F, 0x50), 4),
    **dict.fromkeys((0x02, 0x03, 0x10, 0x1F, 0x21, 0x22, 0x23, 0x31, 0x32, 0x43, 0x44, 0x4D, 0x4E, 0x5D, 0x63), 2),
    **dict.fromkeys((0x1C, 0x1E, 0x2C, 0x2D, 0x2E, 0x30, 0x45, 0x5A, 0x5B, 0x5C, 0x61), 1),
    **dict.fromkeys(range(0x47, 0x4D), 1),
    **{pid.pid: pid.size for pid in PIDS.values()},
}
"""Bytes of the answers that may stand beside ours in one message; behind an unknown one nothing can be read."""


def answers(payload: bytes) -> Iterator[tuple[int, bytes]]:
    """(PID, data) of each parameter in an answer to mode 01; nothing of any other message."""
    if not payload or payload[0] != ANSWER:
        return
    at = 1
    while at < len(payload):
        pid, size = payload[at], _SIZES.get(payload[at], 0)
        data = payload[at + 1 : at + 1 + size]
        if not size or len(data) < size:
            return
        yield pid, data
        at += 1 + size


def supported(pid: int, data: bytes) -> Iterator[int]:
    """The PIDs that a control unit has, of the 32 behind `pid`."""
    bits = int.from_bytes(data, "big")
    return (pid + number for number in range(1, 33) if bits >> (32 - number) & 1)
