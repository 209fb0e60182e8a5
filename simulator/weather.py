"""The air around a truck, and the smooth chance that it is made of: functions of time and altitude only."""

from math import cos, floor, pi
from zlib import crc32

_YEAR_S, _DAY_S = 365.25 * 86_400.0, 86_400.0


def chance(key: str) -> float:
    """A number from -1 to 1 that depends on nothing but the key."""
    return crc32(key.encode()) / 2**31 - 1


def drift(key: str, seconds: float, every: float) -> float:
    """A smooth curve between -1 and 1 that takes a new course about `every` seconds."""
    index = floor(seconds / every)
    share = seconds / every - index
    share = share * share * (3 - 2 * share)
    return chance(f"{key}:{index}") * (1 - share) + chance(f"{key}:{index + 1}") * share


def air(seconds: float, altitude: float) -> tuple[float, float, float]:
    """Temperature in °C, relative humidity in %, pressure in hPa, at Unix seconds and metres above sea level."""
    season = -cos(2 * pi * (seconds / _YEAR_S - 0.04))
    daytime = -cos(2 * pi * (seconds / _DAY_S - 0.12))
    temperature = 9 + 10 * season + 4 * daytime + 3 * drift("temperature", seconds, 14_400) - 0.0065 * (altitude - 500)
    humidity = min(100.0, max(15.0, 70 - 12 * daytime - 6 * season + 15 * drift("humidity", seconds, 10_800)))
    sea_level = 1014 + 14 * drift("pressure", seconds, 43_200)
    return temperature, humidity, sea_level * (1 - 2.25577e-5 * altitude) ** 5.2559
