"""From a record to a sample: its identity, its time, its order key, and how it is read again."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract import timestamps
from contract.codec import Json, canonical, content_hash, parse
from contract.errors import Rejected
from contract.records import HOUR_MS, document, read_sample
from contract.telemetry import LEAVES
from tests.contract.examples import RECEIVED, RECEIVED_MS, flat, put, read, sample


def _document(record: dict[str, Any]) -> dict[str, Json]:
    stored = read(record)
    return document(parse(stored.text), sampled_at=stored.sampled_at, by_arrival=stored.by_arrival)


def test_the_content_hash_is_of_the_canonical_text() -> None:
    stored = read(sample())
    assert stored.text == canonical(sample())
    assert stored.content == content_hash(stored.text)


def test_an_order_key_is_time_stream_seq_and_content() -> None:
    stored = read(sample(seq=7))
    assert stored.order_key == f"2024-06-01T11:59:00.000Z#s1#{7:019d}#{stored.content}"
    assert read({"truck_id": "T1"}).order_key.startswith(f"{RECEIVED}###")


@given(st.integers(1, 2**63 - 1), st.integers(1, 2**63 - 1))
def test_order_keys_sort_by_number(left: int, right: int) -> None:
    """As text: 9 before 10."""
    assert (left < right) == (read(sample(seq=left)).order_key < read(sample(seq=right)).order_key) or left == right


@pytest.mark.parametrize(("missing", "there"), [("seq", "stream_id"), ("stream_id", "seq")])
def test_stream_id_and_seq_go_together(missing: str, there: str) -> None:
    record = {key: value for key, value in sample().items() if key != missing}
    with pytest.raises(Rejected, match="go together") as caught:
        read(record)
    assert caught.value.field == missing
    assert there in record


@pytest.mark.parametrize("sampled_at", ["1999-12-31T23:59:59.999Z", "1970-01-01T00:00:00Z", "2100-01-01T00:00:00Z"])
def test_a_time_that_cannot_be_is_rejected(sampled_at: str) -> None:
    with pytest.raises(Rejected) as caught:
        read(sample(sampled_at=sampled_at))
    assert caught.value.field == "sampled_at"


def test_an_hour_ahead_is_the_limit() -> None:
    latest = timestamps.from_ms(RECEIVED_MS + HOUR_MS)
    assert read(sample(sampled_at=latest)).sampled_at == latest
    with pytest.raises(Rejected, match="over an hour"):
        read(sample(sampled_at=timestamps.from_ms(RECEIVED_MS + HOUR_MS + 1)))


def test_the_year_2000_is_the_first() -> None:
    assert read(sample(sampled_at="2000-01-01T00:00:00Z")).sampled_at == timestamps.EARLIEST


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({"sampled_at": "2024-01-01T00:00:00Z", "timestamp": "2023-01-01T00:00:00Z"}, "2024-01-01T00:00:00.000Z"),
        ({"timestamp": "2023-01-01 00:00:00", "LOAD_TIMESTAMP": "2022-01-01"}, "2023-01-01T00:00:00.000Z"),
        ({"sampled_at": None, "timestamp": None, "LOAD_TIMESTAMP": "2022-01-01T00:00"}, "2022-01-01T00:00:00.000Z"),
    ],
)
def test_its_time_is_sampled_at_else_timestamp_else_load_timestamp(times: dict[str, Json], expected: str) -> None:
    stored = read({"truck_id": "T1", **times}, date_by_arrival=False)
    assert (stored.sampled_at, stored.by_arrival) == (expected, False)


def test_a_bad_time_does_not_fall_through_to_the_next() -> None:
    with pytest.raises(Rejected) as caught:
        read({"truck_id": "T1", "timestamp": "yesterday", "LOAD_TIMESTAMP": "2022-01-01T00:00:00Z"})
    assert caught.value.field == "timestamp"


def test_no_time_in_a_stream_is_the_arrival_estimated() -> None:
    assert read({"truck_id": "T1"}).by_arrival
    whole = _document({"truck_id": "T1"})
    assert (whole["sampled_at"], whole["time_quality"]) == (RECEIVED, "estimated")


def test_no_time_in_a_file_is_rejected() -> None:
    with pytest.raises(Rejected, match="LOAD_TIMESTAMP"):
        read({"truck_id": "T1"}, date_by_arrival=False)


@pytest.mark.parametrize("name", ["EFFECTIVE_START_DATE", "EFFECTIVE_END_DATE", "IS_CURRENT", "is_current"])
def test_validity_columns_are_no_part_of_a_records_identity(name: str) -> None:
    """An earlier store's export of one sample differs in them only."""
    assert read(flat(**{name: "2024-01-01"})).content == read(flat()).content
    assert name not in read(flat(**{name: True})).text


def test_a_document_has_every_field_and_null_where_nothing_was_said() -> None:
    whole = _document({"truck_id": "T1", "vehicle_speed": 3})
    assert whole["vehicle_speed"] == 3
    assert whole["gps_location"] == {"latitude": None, "longitude": None, "altitude": None, "speed": None}
    assert whole["vehicle_health_and_maintenance"]["tire_pressure"]["rear_left"] is None
    assert (whole["seq"], whole["stream_id"], whole["quality"]) == (None, None, {})


def test_a_document_shows_a_sample_as_it_was_sent() -> None:
    assert _document(sample()) == sample()


@pytest.mark.parametrize(
    "path", ["game_location", "gps_location.heading", "vehicle_health_and_maintenance.tire_pressure.x"]
)
def test_a_document_shows_unknown_keys_in_their_place(path: str) -> None:
    record = put(sample(), path, {"deep": [1]})
    assert _document(record) == record


@pytest.mark.parametrize("key", ["a.b", ".", "", "gps_location.latitude", "gps_location.heading", "seq.x"])
def test_an_unknown_key_may_be_any_text(key: str) -> None:
    """A dot in a producer's key is no path."""
    record = {**sample(), key: 5}
    assert _document(record) == record


names = st.one_of(
    st.sampled_from([*sample(), *flat(), *LEAVES, "timestamp", "Truck_ID", "temperature", "IS_CURRENT"]),
    st.text(max_size=5),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 200), st.floats(), st.text(max_size=4), st.just(10**400)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=4)),
    max_leaves=8,
)
records = st.builds(
    lambda start, more: {**start, **more},
    st.sampled_from([{}, sample(), flat(), {"truck_id": "T1"}, {"TRUCK_ID": "T1"}]),
    st.dictionaries(names, values, max_size=5),
)


@settings(max_examples=500)
@given(records)
def test_any_record_is_read_or_rejected_and_left_as_it_was(record: dict[str, Json]) -> None:
    """Nothing else than Rejected ever comes out; what is read can be shown; and nobody wrote into the record."""
    before = copy.deepcopy(record)
    try:
        stored = read_sample(record, received_ms=RECEIVED_MS, date_by_arrival=True)
    except Rejected:
        return
    finally:
        assert repr(record) == repr(before)
    whole = document(parse(stored.text), sampled_at=stored.sampled_at, by_arrival=stored.by_arrival)
    assert whole["truck_id"] == stored.truck_id
    assert content_hash(stored.text) == stored.content


@settings(max_examples=300)
@given(records, st.randoms())
def test_the_order_of_a_records_keys_changes_nothing(record: dict[str, Json], random: Any) -> None:
    """One content, one meaning: else the history of a set of samples would depend on how each was spelt."""
    keys = list(record)
    random.shuffle(keys)
    assert _outcome({key: record[key] for key in keys}) == _outcome(record)


def _outcome(record: dict[str, Json]) -> Any:
    try:
        stored = read(record)
    except Rejected:
        return None
    return (stored.order_key, json.dumps(stored.record, sort_keys=True, default=str), sorted(stored.unknown))
