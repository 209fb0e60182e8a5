"""Which values are kept, which cannot be, and which types are no numbers."""

from decimal import Decimal
from typing import Any

import pytest

from contract.codec import Json, parse
from contract.errors import Rejected
from contract.telemetry import LEAVES
from tests.contract.examples import put, read, sample

HEALTH = "vehicle_health_and_maintenance"
TYRES = f"{HEALTH}.tire_pressure"
BOUNDS: dict[str, tuple[str, str]] = {  # the table of docs/wire.md
    "gps_location.latitude": ("-90", "90"),
    "gps_location.longitude": ("-180", "180"),
    "gps_location.altitude": ("-1000", "20000"),
    "gps_location.speed": ("0", "1000"),
    "vehicle_speed": ("0", "1000"),
    "engine_diagnostics.engine_rpm": ("0", "50000"),
    "engine_diagnostics.fuel_level": ("0", "100"),
    "engine_diagnostics.engine_temperature": ("-273.15", "2000"),
    "engine_diagnostics.oil_pressure": ("0", "5000"),
    "engine_diagnostics.battery_voltage": ("0", "2000"),
    "odometer_reading": ("0", "100000000"),
    "fuel_consumption": ("0", "10000"),
    f"{TYRES}.front_left": ("0", "5000"),
    f"{TYRES}.front_right": ("0", "5000"),
    f"{TYRES}.rear_left": ("0", "5000"),
    f"{TYRES}.rear_right": ("0", "5000"),
    "environmental_conditions.temperature": ("-273.15", "2000"),
    "environmental_conditions.humidity": ("0", "100"),
    "environmental_conditions.atmospheric_pressure": ("0", "2000"),
}
NUMBERS = sorted(BOUNDS)
TEXTS = (f"{HEALTH}.brake_status", f"{HEALTH}.transmission_status")


def _refused(record: Json) -> Rejected:
    with pytest.raises(Rejected) as caught:
        read(record)
    return caught.value


def test_every_measured_number_has_bounds_here() -> None:
    assert set(BOUNDS) == set(LEAVES) - {*TEXTS, f"{HEALTH}.active_faults"}


@pytest.mark.parametrize("field", NUMBERS)
def test_a_value_at_its_bound_is_kept(field: str) -> None:
    for bound in BOUNDS[field]:
        read(put(sample(), field, parse(bound)))


@pytest.mark.parametrize("field", NUMBERS)
def test_a_value_beyond_its_bound_is_rejected_by_name(field: str) -> None:
    low, high = BOUNDS[field]
    for beyond in (
        f"{Decimal(low) - Decimal('0.000001')}",
        f"{Decimal(high) + Decimal('0.000001')}",
        "1e300",
        "-1e400",
    ):
        error = _refused(put(sample(), field, parse(beyond)))
        assert error.field == field


@pytest.mark.parametrize("field", [*NUMBERS, *TEXTS, f"{HEALTH}.active_faults"])
def test_any_measured_field_may_be_null_or_missing(field: str) -> None:
    read(put(sample(), field, None))
    read({"truck_id": "T1"})


@pytest.mark.parametrize("field", NUMBERS)
@pytest.mark.parametrize("value", ["1", "", True, False, [], [1], {}, float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_rejected_by_name(field: str, value: Json) -> None:
    """A string is not a number, nor is a boolean, and NaN says nothing."""
    assert _refused(put(sample(), field, value)).field == field


@pytest.mark.parametrize("field", TEXTS)
@pytest.mark.parametrize("value", [1, True, [], {}])
def test_a_status_is_text(field: str, value: Json) -> None:
    assert _refused(put(sample(), field, value)).field == field


@pytest.mark.parametrize("status", ["", "ok", "Bremsen geprüft", "x" * 10_000])
def test_a_status_is_any_text(status: str) -> None:
    read(put(sample(), TEXTS[0], status))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("truck_id", None),
        ("truck_id", ""),
        ("truck_id", "T 1"),
        ("truck_id", "T1\n"),
        ("truck_id", "Lkw-ü"),
        ("truck_id", "T" * 65),
        ("truck_id", 7),
        ("stream_id", ""),
        ("stream_id", "a/b"),
        ("seq", 0),
        ("seq", -1),
        ("seq", 2**63),
        ("seq", 1.5),
        ("seq", "1"),
        ("seq", True),
        ("schema_version", 0),
        ("schema_version", "1"),
        ("time_quality", "guess"),
        ("sampled_at", 1),
        ("quality", []),
        ("quality", {"vehicle_speed": "broken"}),
        ("gps_location", []),
        ("gps_location", "here"),
        (HEALTH, 5),
        (TYRES, []),
    ],
)
def test_what_breaks_the_frame_is_rejected_by_name(field: str, value: Json) -> None:
    assert _refused(put(sample(), field, value)).field.startswith(field)


@pytest.mark.parametrize(
    "fault",
    [
        {"spn": -1, "fmi": 0},
        {"spn": 524_288, "fmi": 0},
        {"spn": 1, "fmi": 32},
        {"spn": 1},
        {"fmi": 1},
        {"spn": "1", "fmi": 1},
        {"spn": True, "fmi": 1},
        {"spn": 1, "fmi": 1, "count": -1},
        5,
    ],
)
def test_a_fault_that_cannot_be_is_rejected_by_its_place(fault: Json) -> None:
    faults = [{"spn": 524_287, "fmi": 31}, fault]
    assert _refused(put(sample(), f"{HEALTH}.active_faults", faults)).field.startswith(f"{HEALTH}.active_faults.1")


@pytest.mark.parametrize("record", [None, [], "T1", 5, True, {}])
def test_a_record_is_an_object_with_a_truck_id(record: Json) -> None:
    assert _refused(record).field in ("", "truck_id")


def test_a_newer_schema_version_is_accepted() -> None:
    assert read(sample(schema_version=99)).record["schema_version"] == 99


def test_unknown_keys_are_kept_and_named() -> None:
    """A real producer sends `game_location` for `gps_location`."""
    record: dict[str, Any] = {
        **sample(game_location={"latitude": 1}),
        "gps_location": {"latitude": 2, "heading": 90},
        "a.b": 1,
    }
    record = put(record, f"{TYRES}.spare", 80)
    read_back = read(record)
    assert read_back.unknown == ("a.b", "game_location", "gps_location.heading", f"{TYRES}.spare")
    assert parse(read_back.text) == record


def test_digits_beyond_a_float_are_judged_and_kept() -> None:
    """The number is judged as the nearest float, and stored as it was sent."""
    text = "41.2579100000000000000000001"
    read_back = read(put(sample(), "gps_location.latitude", parse(text)))
    assert text in read_back.text
    assert _refused(put(sample(), "gps_location.latitude", parse(f"9{text}"))).field == "gps_location.latitude"


def test_the_reason_names_what_came() -> None:
    error = _refused(put(sample(), "gps_location.latitude", 91))
    assert "90" in error.reason
    assert "91" in error.reason
