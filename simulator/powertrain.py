"""What a 12-tonne delivery truck's engine does at a given speed: gear, engine speed, fuel rate, oil pressure.

Pure functions; speeds in m/s, accelerations in m/s², slopes as rise over run.
"""

IDLE_RPM = 650.0
IDLE_LITRES_PER_HOUR = 2.2
_TOP_RPM_PER_KMH = 14.2  # twelfth gear: 1,200 rpm at 85 km/h
_GEARS = 12
_STEP = 1.28
_LOWEST_RPM = 950.0  # the gearbox shifts down below
_EMPTY_KG = 7_500.0
PAYLOAD_T = 4.5
_ROLLING = 0.007
_DRAG = 0.5 * 1.2 * 5.2  # half air density, drag area
_DRIVELINE = 0.9
_LITRES_PER_KWH = 0.24
_AUXILIARIES_KW = 6.0
_MAX_KW = 210.0


def gear(speed: float) -> int:
    """The highest of twelve gears that keeps the engine above its shift-down speed; 0 (neutral) at a standstill."""
    if speed < 0.3:
        return 0
    rpm = speed * 3.6 * _TOP_RPM_PER_KMH
    for number in range(_GEARS, 1, -1):
        if rpm >= _LOWEST_RPM:
            return number
        rpm *= _STEP
    return 1


def engine_rpm(speed: float) -> float:
    """Engine speed with the engine on: what the gear makes of the road speed, never under idle (the clutch slips)."""
    number = gear(speed)
    if number == 0:
        return IDLE_RPM
    return max(IDLE_RPM, speed * 3.6 * _TOP_RPM_PER_KMH * _STEP ** (_GEARS - number))


def litres_per_hour(speed: float, acceleration: float, slope: float, load_t: float) -> float:
    """Fuel rate with the engine on and so many tonnes on board; 0 when the truck pushes the engine (overrun)."""
    if speed < 0.3:
        return IDLE_LITRES_PER_HOUR
    force = (_EMPTY_KG + load_t * 1000) * (acceleration + 9.81 * (slope + _ROLLING)) + _DRAG * speed**2
    kilowatts = force * speed / 1000 / _DRIVELINE
    if kilowatts < -_AUXILIARIES_KW and gear(speed) > 1:
        return 0.0
    return max(IDLE_LITRES_PER_HOUR, min(max(kilowatts, 0.0) + _AUXILIARIES_KW, _MAX_KW) * _LITRES_PER_KWH)


def oil_pressure(rpm: float, temperature: float) -> float:
    """psi with the engine on: rises with engine speed, higher while the oil is cold."""
    return min(75.0, 28.0 + (rpm - IDLE_RPM) * 0.03 + max(0.0, 85.0 - temperature) * 0.15)
