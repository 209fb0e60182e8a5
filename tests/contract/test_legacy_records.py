"""Earlier producers' records mean what today's say."""

from typing import Any

import pytest

from contract import legacy_records
from contract.click_records import ClickEvent, read_click
from contract.codec import Json
from contract.errors import Rejected
from contract.records import at
from contract.telemetry import LEAVES
from tests.contract.examples import RECEIVED, RECEIVED_MS, flat, read, sample


def test_a_flat_record_says_what_the_nested_one_says() -> None:
    stored, today = read(flat()), sample()
    for leaf in LEAVES:
        if leaf != "vehicle_health_and_maintenance.active_faults":  # the flat record has none
            assert at(stored.record, leaf) == at(today, leaf), leaf
    assert (stored.truck_id, stored.sampled_at) == ("T1", "2024-05-01T08:30:00.123Z")
    assert (stored.stream_id, stored.seq, stored.unknown) == (None, None, ())


def test_every_flat_name_leads_to_a_field_of_the_wire() -> None:
    assert set(legacy_records.FLAT.values()) <= {*LEAVES, "truck_id"}


@pytest.mark.parametrize("name", ["ENVIRONMENTAL_TEMPERATURE", "AMBIENT_TEMPERATURE", "ENVIRONMENT_TEMPERATURE"])
def test_the_air_has_several_flat_names(name: str) -> None:
    record = {key: value for key, value in flat().items() if key != "TEMPERATURE"}
    assert at(read({**record, name: 7}).record, "environmental_conditions.temperature") == 7


def test_an_error_names_the_producers_own_key() -> None:
    with pytest.raises(Rejected) as caught:
        read(flat(GPS_LATITUDE=91))
    assert caught.value.field == "GPS_LATITUDE"
    record = {key: value for key, value in flat().items() if key != "TEMPERATURE"}
    with pytest.raises(Rejected) as caught:
        read({**record, "AMBIENT_TEMPERATURE": "warm"})
    assert caught.value.field == "AMBIENT_TEMPERATURE"


@pytest.mark.parametrize("value", ["41.2", True])
def test_a_flat_record_is_judged_as_strictly(value: Json) -> None:
    with pytest.raises(Rejected):
        read(flat(GPS_LATITUDE=value))


def test_an_unknown_flat_key_is_kept_and_named() -> None:
    stored = read(flat(DRIVER_ID="D7"))
    assert stored.unknown == ("DRIVER_ID",)
    assert '"DRIVER_ID":"D7"' in stored.text


@pytest.mark.parametrize(
    ("nested", "expected"),
    [
        ({"gps_location": {"longitude": 5}}, {"longitude": 5, "latitude": 41}),
        ({"gps_location": {"latitude": 7}}, {"latitude": 7}),  # the wire's name wins
        ({"gps_location": None}, {"latitude": 41}),
    ],
)
def test_a_record_of_both_kinds_is_merged(nested: dict[str, Json], expected: dict[str, Json]) -> None:
    stored = read({"TRUCK_ID": "T1", "GPS_LATITUDE": 41, **nested})
    assert stored.record["gps_location"] == expected


def test_a_group_that_is_no_object_is_rejected_beside_flat_keys() -> None:
    with pytest.raises(Rejected) as caught:
        read({"TRUCK_ID": "T1", "GPS_LATITUDE": 41, "gps_location": 5})
    assert caught.value.field == "gps_location"


@pytest.mark.parametrize("group", ["gps_location", "engine_diagnostics", "vehicle_health_and_maintenance"])
def test_a_nested_record_may_lack_groups(group: str) -> None:
    record = {key: value for key, value in sample().items() if key not in (group, "stream_id", "seq")}
    assert group not in read(record).record


def test_truck_id_may_be_spelt_truck_id_with_capitals() -> None:
    assert read({"Truck_ID": "T9", "timestamp": "2024-01-01T00:00:00Z"}).truck_id == "T9"


def test_the_engines_temperature_had_a_shorter_name() -> None:
    stored = read({"truck_id": "T1", "engine_diagnostics": {"temperature": 88, "engine_rpm": 600}})
    assert stored.record["engine_diagnostics"] == {"engine_temperature": 88, "engine_rpm": 600}


def test_a_record_of_today_is_not_touched() -> None:
    record = sample()
    assert legacy_records.telemetry(record) is record


def _click(record: Json) -> ClickEvent:
    return read_click(record, received_ms=RECEIVED_MS, trusted=True)


EARLY = {"Item_ID": "A13", "Item_Name": "Boots", "Click_Counts": 3, "Timestamp": "2024-06-01 10:00:00"}


def test_the_early_click_record() -> None:
    event = _click(EARLY)
    said = {name: event.record[name] for name in ("item_id", "item_name", "click_count", "event_type")}
    assert said == {"item_id": "A13", "item_name": "Boots", "click_count": 3, "event_type": "click"}
    assert event.timestamp == "2024-06-01T10:00:00.000Z"


def test_an_event_without_an_id_is_its_content() -> None:
    """The same again is a duplicate; another count is another event; the order of keys says nothing."""
    again, other = _click(dict(reversed(EARLY.items()))), _click({**EARLY, "Click_Counts": 4})
    assert _click(EARLY).event_id == again.event_id
    assert _click(EARLY).event_id != other.event_id


@pytest.mark.parametrize("more", [{}, {"event_id": "e9"}])
def test_the_event_schema_with_product_id(more: dict[str, Json]) -> None:
    """With an event_id of its own, or without; numbers as ids become text."""
    record: dict[str, Any] = {
        "event_type": "add_to_cart",
        "timestamp": RECEIVED,
        "user_id": 17,
        "product_id": 42,
        "product_name": "Boots",
        "product_category": "shoes",
        **more,
    }
    event = _click(record)
    said = {name: event.record[name] for name in ("event_type", "user_id", "item_id", "item_name", "category")}
    expected = {
        "event_type": "add_to_cart",
        "user_id": "17",
        "item_id": "42",
        "item_name": "Boots",
        "category": "shoes",
    }
    assert said == expected
    assert event.event_id == more.get("event_id", event.event_id)


def test_two_names_for_one_thing_are_decided_whatever_their_order() -> None:
    record = {**EARLY, "product_id": "B1"}
    assert _click(record) == _click(dict(reversed(record.items())))
    assert _click(record).record["item_id"] == "A13"
    assert _click(record).record["product_id"] == "B1"


@pytest.mark.parametrize(
    ("path", "spelled", "field", "value"),
    [
        ("", "ENVIRONMENT_TEMPERATURE", "environmental_conditions.temperature", 22.5),
        ("", "ENVIRONMENT_HUMIDITY", "environmental_conditions.humidity", 61.5),
        ("", "ENVIRONMENT_PRESSURE", "environmental_conditions.atmospheric_pressure", 1008.4),
        ("engine_diagnostics", "RPM", "engine_diagnostics.engine_rpm", 1500),
        ("engine_diagnostics", "rpm", "engine_diagnostics.engine_rpm", 1500),
        ("engine_diagnostics", "temperature", "engine_diagnostics.engine_temperature", 90),
        ("environmental_conditions", "pressure", "environmental_conditions.atmospheric_pressure", 1008.4),
        ("gps_location", "lat", "gps_location.latitude", 52.5),
        ("gps_location", "lon", "gps_location.longitude", 13.4),
        (
            "vehicle_health_and_maintenance",
            "tire_pressures",
            "vehicle_health_and_maintenance.tire_pressure",
            {"front_left": 32, "front_right": 33, "rear_left": 34, "rear_right": 35},
        ),
    ],
)
def test_each_earlier_spelling_reaches_its_wire_field(path: str, spelled: str, field: str, value: Json) -> None:
    record = {path: {spelled: value}, "truck_id": "T1"} if path else {"TRUCK_ID": "T1", spelled: value}
    stored = read({**record, "timestamp": "2024-05-01T00:00:00Z"})
    assert at(stored.record, field) == value
    assert stored.unknown == ()
