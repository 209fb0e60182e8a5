"""One telemetry sample on the wire: field names, units and the values that cannot be (docs/wire.md).

Any measured field may be null; `quality` says why. Bounds reject only what cannot be true of any vehicle on earth;
what is merely odd is kept. Unknown keys are allowed everywhere: an older collector keeps what a newer agent says.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

ESTIMATED = "estimated"
"""The `time_quality` of a time that nobody vouches for: such a sample is never refused for its time."""

QualityReason = Literal["not_available", "error", "stale", "implausible"]


class _Group(BaseModel):
    model_config = ConfigDict(strict=True, extra="allow", frozen=True, allow_inf_nan=False, defer_build=True)


def _measured(low: float, high: float, unit: str, title: str) -> object:
    return Field(ge=low, le=high, title=title, json_schema_extra={"unit": unit})


Latitude = Annotated[float | None, _measured(-90, 90, "degrees", "latitude, WGS 84")]
Longitude = Annotated[float | None, _measured(-180, 180, "degrees", "longitude, WGS 84")]
Altitude = Annotated[float | None, _measured(-1000, 20_000, "m", "altitude above mean sea level")]
Speed = Annotated[float | None, _measured(0, 1000, "km/h", "speed")]
EngineSpeed = Annotated[float | None, _measured(0, 50_000, "rpm", "engine speed")]
Percent = Annotated[float | None, _measured(0, 100, "%", "share of full scale")]
Temperature = Annotated[float | None, _measured(-273.15, 2000, "°C", "temperature")]
Pressure = Annotated[float | None, _measured(0, 5000, "psi", "gauge pressure")]
Voltage = Annotated[float | None, _measured(0, 2000, "V", "voltage")]
Distance = Annotated[float | None, _measured(0, 100_000_000, "km", "distance driven in the vehicle's life")]
FuelRate = Annotated[float | None, _measured(0, 10_000, "L/h", "fuel rate")]
AirPressure = Annotated[float | None, _measured(0, 2000, "hPa", "atmospheric pressure")]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class GpsLocation(_Group):
    """Where the truck is, from its satellite receiver."""

    latitude: Latitude = None
    longitude: Longitude = None
    altitude: Altitude = None
    speed: Speed = None


class EngineDiagnostics(_Group):
    """What the engine's control units say."""

    engine_rpm: EngineSpeed = None
    fuel_level: Percent = None
    engine_temperature: Temperature = None
    oil_pressure: Pressure = None
    battery_voltage: Voltage = None


class TirePressure(_Group):
    """Pressure of the outer tyre at each corner."""

    front_left: Pressure = None
    front_right: Pressure = None
    rear_left: Pressure = None
    rear_right: Pressure = None


class ActiveFault(_Group):
    """One diagnostic trouble code: suspect parameter, failure mode, occurrences, who says so (source address)."""

    spn: Annotated[int, Field(ge=0, le=524_287)]
    fmi: Annotated[int, Field(ge=0, le=31)]
    count: Annotated[int | None, Field(ge=0)] = None
    source: int | str | None = None


class VehicleHealth(_Group):
    """Statuses are free strings; an empty fault list was measured, null was not."""

    brake_status: str | None = None
    tire_pressure: TirePressure | None = None
    transmission_status: str | None = None
    active_faults: list[ActiveFault] | None = None


class EnvironmentalConditions(_Group):
    """The air around the truck."""

    temperature: Temperature = None
    humidity: Percent = None
    atmospheric_pressure: AirPressure = None


class HarshEvent(_Group):
    """A hard manoeuvre. peak: m/s², positive whatever its direction; at: when it was at its peak."""

    kind: Literal["braking", "acceleration", "cornering"]
    at: str
    peak: Annotated[float, Field(ge=0, le=1000, json_schema_extra={"unit": "m/s²"})]


class FaultSeen(_Group):
    """A trouble code that was active at some time since the sample before, also one that has gone meanwhile."""

    spn: Annotated[int, Field(ge=0, le=524_287)]
    fmi: Annotated[int, Field(ge=0, le=31)]
    source: int | str | None = None
    first: str
    last: str


Seconds = Annotated[float | None, Field(ge=0, json_schema_extra={"unit": "s"})]
Measured = dict[str, float]


class SinceLast(_Group):
    """What happened since the sample before, from every reading that came between the two.

    seconds: the time observed. readings: how many signal values came. min, max, mean: dotted field → value in the
    field's unit, only for fields with two readings or more; the mean is weighted by time. moving_seconds: at 5 km/h or
    more. idle_seconds: engine running, slower than that. distance_km, fuel_l: integrals of speed and fuel rate over
    the time observed. harsh, faults: see HarshEvent and FaultSeen.
    """

    seconds: Seconds = None
    readings: Annotated[int | None, Field(ge=0)] = None
    min: Measured | None = None
    max: Measured | None = None
    mean: Measured | None = None
    moving_seconds: Seconds = None
    idle_seconds: Seconds = None
    distance_km: Annotated[float | None, Field(ge=0, json_schema_extra={"unit": "km"})] = None
    fuel_l: Annotated[float | None, Field(ge=0, json_schema_extra={"unit": "L"})] = None
    harsh: list[HarshEvent] | None = None
    faults: list[FaultSeen] | None = None


CUSTOM_NAME = r"^[a-z][a-z0-9_]{0,63}$"
MOST_CUSTOM = 32
Custom = Annotated[
    dict[Annotated[str, Field(pattern=CUSTOM_NAME)], float | bool | str | None], Field(max_length=MOST_CUSTOM)
]
"""A fleet's own signals: at most 32 names, each a number, a text or a boolean; units stand in the fleet's settings."""


class Telemetry(_Group):
    """One sample of one truck."""

    schema_version: Annotated[int | None, Field(ge=1)] = None
    truck_id: Identifier
    stream_id: Identifier | None = None
    seq: Annotated[int | None, Field(ge=1, le=2**63 - 1)] = None
    sampled_at: Annotated[str | None, Field(json_schema_extra={"format": "date-time"})] = None
    time_quality: Literal["gps", "ntp", "cloud", "estimated"] | None = None
    gps_location: GpsLocation | None = None
    vehicle_speed: Speed = None
    engine_diagnostics: EngineDiagnostics | None = None
    odometer_reading: Distance = None
    fuel_consumption: FuelRate = None
    vehicle_health_and_maintenance: VehicleHealth | None = None
    environmental_conditions: EnvironmentalConditions | None = None
    quality: dict[str, QualityReason] | None = None
    since_last: SinceLast | None = None
    custom: Custom | None = None


class TelemetryBatch(BaseModel):
    """Several samples in one message or request; each is judged on its own."""

    model_config = ConfigDict(defer_build=True)

    records: list[Telemetry]


GROUPS: dict[str, tuple[str, ...]] = {
    "gps_location": tuple(GpsLocation.model_fields),
    "engine_diagnostics": tuple(EngineDiagnostics.model_fields),
    "vehicle_health_and_maintenance.tire_pressure": tuple(TirePressure.model_fields),
    "vehicle_health_and_maintenance": ("brake_status", "transmission_status", "active_faults"),
    "environmental_conditions": tuple(EnvironmentalConditions.model_fields),
}
"""Each measured group and its leaves."""

LEAVES: tuple[str, ...] = (
    "vehicle_speed",
    "odometer_reading",
    "fuel_consumption",
    *(f"{group}.{leaf}" for group, leaves in GROUPS.items() for leaf in leaves),
)
"""Every measured field, as a dotted path."""
