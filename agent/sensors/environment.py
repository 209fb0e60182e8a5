"""`type = "environment"`: temperature, humidity and air pressure from files of the kernel's IIO and hwmon drivers.

path: a device's directory (`/sys/bus/iio/devices/iio:device0`, `/sys/class/hwmon/hwmon2`), or one file in it; `*` may
stand in it, since the numbers change from boot to boot (`/sys/bus/i2c/devices/1-0076/iio:device*`). The drivers' units
are m°C, thousandths of % and kPa; IIO's raw files are put together with their offset and scale.

Nothing is kept: a file is read when asked, so a value is never stale. What cannot be read, or is no number, is `error`.
"""

import glob
import logging
import os
import re
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from agent.sensors import Reading
from agent.sensors.fields import Reason, settle
from contract.errors import Misconfigured

logger = logging.getLogger(__name__)

TEMPERATURE = "environmental_conditions.temperature"
HUMIDITY = "environmental_conditions.humidity"
PRESSURE = "environmental_conditions.atmospheric_pressure"

_LARGEST = 64


class _Quantity(NamedTuple):
    leaf: str
    name: re.Pattern[str]
    factor: float


_QUANTITIES = (
    _Quantity(TEMPERATURE, re.compile(r"(in_temp\d*(_ambient)?_(input|raw)|temp\d+_input)"), 0.001),
    _Quantity(HUMIDITY, re.compile(r"(in_humidityrelative\d*_(input|raw)|humidity\d+_input)"), 0.001),
    _Quantity(PRESSURE, re.compile(r"in_pressure\d*_(input|raw)"), 10),
)


class EnvironmentSensor:
    """Implements agent.sensors.Sensor.

    Raises Misconfigured without a path, or for a file whose name says nothing of what it measures. A device that is not
    there (yet) is looked for at every read; until then the leaves it would give are `error`.
    """

    def __init__(self, path: str | None, *, interval: float) -> None:
        del interval  # a file is read when asked
        if not path:
            raise Misconfigured(
                '[[agent.sensors]] type="environment" needs path = "…": a directory such as /sys/class/hwmon/hwmon0, '
                "or one of its files."
            )
        self._path = path
        self._failing: dict[str, str] = {}
        if Path(path).is_file() and not any(quantity.name.fullmatch(Path(path).name) for quantity in _QUANTITIES):
            raise Misconfigured(
                f'[[agent.sensors]] type="environment" path="{path}": a file must be named as IIO and hwmon do '
                "(in_temp_input, in_humidityrelative_input, in_pressure_input, temp1_input, humidity1_input)."
            )

    def read(self, now: datetime) -> Reading:
        """What the files say now."""
        found = _files(self._path)
        values: dict[str, object] = {}
        quality: dict[str, str] = {}
        for quantity in _expected(self._path):
            file = next((file for file in found if quantity.name.fullmatch(file.name)), None)
            outcome = self._outcome(quantity, file) if file or not found else "not_available"
            if isinstance(outcome, str):
                quality[quantity.leaf] = outcome
            else:
                values[quantity.leaf] = outcome
        return Reading(values, quality)

    def close(self) -> None:
        """Nothing is kept open."""

    def _outcome(self, quantity: _Quantity, file: Path | None) -> float | Reason:
        try:
            if file is None:
                raise FileNotFoundError(f"nothing to read at {self._path}")
            value = _measured(file) * quantity.factor
        except (OSError, ValueError) as error:
            self._complain(quantity.leaf, str(error))
            return "error"
        if self._failing.pop(quantity.leaf, None):
            logger.warning("environment.readable field=%s file=%s", quantity.leaf, file)
        return settle(quantity.leaf, value)

    def _complain(self, leaf: str, error: str) -> None:
        if leaf not in self._failing:
            logger.warning("environment.unreadable field=%s path=%s error=%s", leaf, self._path, error)
        self._failing[leaf] = error


def _files(path: str) -> list[Path]:
    """The files that measure something, at a path that may be a pattern, a directory or a file."""
    places = [Path(each) for each in sorted(glob.glob(path))]  # noqa: PTH207 - the pattern is absolute
    files: list[Path] = []
    for place in places:
        try:
            files += place.iterdir() if place.is_dir() else [place]
        except OSError:
            continue
    files = [file for file in files if any(quantity.name.fullmatch(file.name) for quantity in _QUANTITIES)]
    return sorted(files, key=lambda file: (file.name.endswith("_raw"), len(file.name), file))


def _expected(path: str) -> tuple[_Quantity, ...]:
    """What a path may measure: what its name says if it is a file's, else everything."""
    named = tuple(quantity for quantity in _QUANTITIES if quantity.name.fullmatch(Path(path).name))
    return named or _QUANTITIES


def _measured(file: Path) -> float:
    """The value in the driver's unit. Raises OSError or ValueError."""
    stem, kind = file.name.rsplit("_", 1)
    fault = file.with_name(f"{stem}_fault")
    if fault.exists() and _number(fault):
        raise ValueError(f"{fault.name} says that the probe is broken")
    if kind == "input":
        return _number(file)
    offset, scale = (file.with_name(f"{stem}_{part}") for part in ("offset", "scale"))
    return (_number(file) + (_number(offset) if offset.exists() else 0.0)) * (_number(scale) if scale.exists() else 1.0)


def _number(file: Path) -> float:
    """Opened so that a pipe or a device cannot block it."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return float(os.read(descriptor, _LARGEST))
    finally:
        os.close(descriptor)
