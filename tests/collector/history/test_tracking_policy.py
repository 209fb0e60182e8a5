"""The tracked key: a function of one sample only, reckoned in decimal on the JSON text (docs/history.md)."""

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.history import DEFAULT_TRACK, TrackingPolicy
from contract.codec import Json, canonical, parse
from contract.errors import Misconfigured
from contract.telemetry import LEAVES
from tests.contract.examples import put, sample

FIELD = "engine_diagnostics.engine_temperature"
BRAKES = "vehicle_health_and_maintenance.brake_status"
FAULTS = "vehicle_health_and_maintenance.active_faults"
decimals = st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-1000, max_value=1000)


def _key(rule: Json, text: str) -> Json:
    """What a rule makes of a value, given as JSON text."""
    record = put({}, FIELD, parse(text))
    return parse(TrackingPolicy.of({FIELD: rule}).key(record, "order key"))[0]


@pytest.mark.parametrize(
    ("value", "band"),
    [
        ("27.999999999999999999999", 0),
        ("28", 1),
        ("28.0", 1),
        ("2.8e1", 1),
        ("39.9", 1),
        ("40", 2),
        ("-5", 0),
        ("null", None),
    ],
)
def test_bands_count_the_thresholds_reached(value: str, band: int | None) -> None:
    assert _key({"bands": [28, 40]}, value) == band


def test_bands_may_stand_in_any_order() -> None:
    assert _key({"bands": [40, 28]}, "30") == 1


@given(st.lists(decimals, min_size=1, max_size=5), decimals)
def test_bands_reckon_in_decimal(thresholds: list[Decimal], value: Decimal) -> None:
    rule = parse(f'{{"bands":[{",".join(map(str, thresholds))}]}}')
    assert _key(rule, str(value)) == sum(value >= threshold for threshold in thresholds)


@pytest.mark.parametrize(
    ("step", "value", "floor_of"),
    [
        ("0.1", "0.3", 3),  # 0.3 / 0.1 is 2.9999999999999996 in binary
        ("0.1", "0.7", 7),
        ("0.1", "1.1", 11),
        ("1000", "120034.7", 120),
        ("1000", "0", 0),
        ("1000", "999.999", 0),
        ("5", "-0.1", -1),
        ("5", "-5", -1),
        ("5", "-5.000000000000000000001", -2),
        ("2.5", "7.5", 3),
        ("0.1", "0.29999999999999999999999999", 2),
        ("3", "null", None),
    ],
)
def test_step_is_the_floor_of_the_quotient(step: str, value: str, floor_of: int | None) -> None:
    assert _key({"step": parse(step)}, value) == floor_of


@given(decimals.filter(lambda each: each > 0), decimals)
def test_step_reckons_in_decimal(step: Decimal, value: Decimal) -> None:
    assert _key({"step": parse(str(step))}, str(value)) == floor(Fraction(value) / Fraction(step))


@pytest.mark.parametrize("rule", ["exact", {"bands": [0]}, {"step": 1}])
def test_null_is_a_value_of_its_own(rule: Json) -> None:
    keys = {canonical(_key(rule, text)) for text in ("null", "0")}
    assert len(keys) == 2
    assert TrackingPolicy.of({FIELD: rule}).key({}, "") == TrackingPolicy.of({FIELD: rule}).key(
        put({}, FIELD, None), ""
    )


def test_exact_takes_the_value_whole() -> None:
    assert _key("exact", "36.0") == _key("exact", "36") == 36
    policy = TrackingPolicy.of({FAULTS: "exact"})
    faults = [{"spn": 100, "fmi": 1}]
    assert policy.key(put({}, FAULTS, faults), "") != policy.key(put({}, FAULTS, []), "")
    assert policy.key(put({}, FAULTS, []), "") != policy.key(put({}, FAULTS, None), "")


@pytest.mark.parametrize("text", ["1e-400", "0." + "0" * 390 + "1", "1" * 30 + ".5", "9" * 300])
def test_extreme_numbers_take_no_extreme_time(text: str) -> None:
    for rule in ({"bands": [1]}, {"step": 0.5}, "exact"):
        _key(rule, text)


def test_fields_that_are_not_tracked_leave_the_key_alone() -> None:
    policy = TrackingPolicy.of({BRAKES: "exact"})
    assert policy.key(sample(), "a") == policy.key(sample(vehicle_speed=0, seq=9, odometer_reading=None), "b")
    assert policy.key(sample(), "a") != policy.key(put(sample(), BRAKES, "worn"), "a")


def test_the_default_tracks_what_the_design_names() -> None:
    assert TrackingPolicy.of(None).text == TrackingPolicy.of(DEFAULT_TRACK).text
    tyres = {
        f"vehicle_health_and_maintenance.tire_pressure.{side}_{end}"
        for side in ("front", "rear")
        for end in ("left", "right")
    }
    transmission = "vehicle_health_and_maintenance.transmission_status"
    engine = {f"engine_diagnostics.{name}" for name in ("oil_pressure", "engine_temperature", "battery_voltage")}
    assert set(DEFAULT_TRACK) == {BRAKES, FAULTS, transmission} | tyres | engine
    assert all(DEFAULT_TRACK[field] == "exact" for field in (BRAKES, FAULTS, transmission))


def test_every_sample_opens_a_version_of_its_own() -> None:
    policy = TrackingPolicy.of("every-sample")
    assert policy.key(sample(), "a") != policy.key(sample(), "b")


def test_a_policys_text_is_the_same_however_it_was_written() -> None:
    """The store remembers it: the same rules must not ask for a rebuild."""
    written = [{FIELD: {"bands": [28, 40.0]}, BRAKES: "exact"}, {BRAKES: "exact", FIELD: {"bands": [28.0, 40]}}]
    texts = {TrackingPolicy.of(each).text for each in written}
    texts.add(
        TrackingPolicy.of(
            f'{{"{BRAKES}":"exact","{FIELD}":{{"bands":[2.8e1,40]}},"odometer_reading":"untracked"}}'
        ).text
    )
    assert len(texts) == 1


@pytest.mark.parametrize("field", sorted(LEAVES))
def test_every_measured_field_can_be_tracked_exactly(field: str) -> None:
    assert TrackingPolicy.of({field: "exact"}).key(sample(), "")


@pytest.mark.parametrize(
    ("track", "named"),
    [
        ({"engine_diagnostics.rpm": "exact"}, "engine_diagnostics.rpm"),
        ({"gps_location": "exact"}, "gps_location"),
        ({"truck_id": "exact"}, "truck_id"),
        ({"vehicle_sped": "untracked", FIELD: "exact"}, "vehicle_sped"),
        ({FIELD: "roughly"}, FIELD),
        ({FIELD: {}}, FIELD),
        ({FIELD: {"bands": []}}, FIELD),
        ({FIELD: {"bands": ["28"]}}, FIELD),
        ({FIELD: {"bands": [True]}}, FIELD),
        ({FIELD: {"bands": 28}}, FIELD),
        ({FIELD: {"step": 0}}, FIELD),
        ({FIELD: {"step": -1}}, FIELD),
        ({FIELD: {"step": "1"}}, FIELD),
        ({FIELD: {"step": True}}, FIELD),
        ({FIELD: {"step": None}}, FIELD),
        ({FIELD: {"step": 1, "bands": [1]}}, FIELD),
        ({FIELD: {"deadband": 1}}, FIELD),
        ({FIELD: None}, FIELD),
        ({BRAKES: {"step": 1}}, BRAKES),
        ({FAULTS: {"bands": [1]}}, FAULTS),
        ({FIELD: {"step": float("nan")}}, "track"),
        ({FIELD: {"bands": [float("inf")]}}, "track"),
        ({FIELD: {"step": datetime(2026, 1, 1, tzinfo=UTC)}}, "track"),
        ({}, "every-sample"),
        ({FIELD: "untracked"}, "every-sample"),
        ("", "every-sample"),
        ("every sample", "every-sample"),
        ("[1]", "every-sample"),
        ("5", "every-sample"),
    ],
)
def test_a_policy_that_says_nothing_is_named(track: Any, named: str) -> None:
    with pytest.raises(Misconfigured, match="track") as caught:
        TrackingPolicy.of(track)
    assert named in str(caught.value)


values = st.one_of(st.none(), decimals.map(lambda each: parse(str(each))))
rules = st.one_of(st.just("exact"), st.just({"step": 0.7}), st.just({"bands": [-1, 0, 2.5]}))


@settings(max_examples=200)
@given(
    st.dictionaries(st.sampled_from(["vehicle_speed", FIELD, "odometer_reading"]), rules, min_size=1), values, values
)
def test_a_key_is_a_function_of_the_sample_alone(track: dict[str, Json], value: Json, other: Json) -> None:
    """Whatever was asked before, and whoever asks."""
    policy = TrackingPolicy.of(track)
    first = policy.key(put({}, FIELD, value), "")
    policy.key(put({}, FIELD, other), "")
    assert policy.key(put({}, FIELD, value), "") == TrackingPolicy.of(track).key(put({}, FIELD, value), "") == first
