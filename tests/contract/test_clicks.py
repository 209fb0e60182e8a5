"""Shop events: what is taken, what is refused, and when."""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract import timestamps
from contract.codec import Json, parse
from contract.errors import Rejected
from contract.records import CLICK_MAX_AGE_MS, HOUR_MS, ClickEvent, read_click
from tests.contract.examples import RECEIVED, RECEIVED_MS, click


def _read(record: Json, *, date_by_arrival: bool = True) -> ClickEvent:
    return read_click(record, received_ms=RECEIVED_MS, date_by_arrival=date_by_arrival)


def test_an_event_is_its_event_id() -> None:
    event = _read(click(event_id="e7"))
    assert (event.event_id, event.timestamp) == ("e7", "2024-06-01T11:58:30.000Z")


def test_received_at_is_the_servers_and_no_part_of_an_event() -> None:
    assert _read(click(received_at="2020-01-01T00:00:00Z")) == _read(click())
    early: dict[str, Json] = {"Item_ID": "A", "Timestamp": RECEIVED}
    assert _read({**early, "received_at": "x"}).event_id == _read(early).event_id


@pytest.mark.parametrize(
    "kind", ["page_view", "view", "click", "add_to_cart", "remove_from_cart", "purchase", "search"]
)
def test_the_seven_kinds(kind: str) -> None:
    assert _read(click(event_type=kind)).record["event_type"] == kind


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("event_id", ""),
        ("event_id", "x" * 129),
        ("event_id", 5),
        ("event_id", "\ud800"),
        ("event_type", "hover"),
        ("event_type", 5),
        ("timestamp", 5),
        ("timestamp", "now"),
        ("user_id", ""),
        ("user_id", 5),
        ("item_id", "x" * 257),
        ("page", "x" * 2049),
        ("click_count", -1),
        ("click_count", 1.5),
        ("click_count", "1"),
        ("click_count", True),
        ("click_count", None),
        ("click_count", 10**9 + 1),
        ("price", -1),
        ("price", "1"),
        ("price", float("nan")),
        ("price", 10**400),
        ("quantity", -0.5),
        ("user_type", "old"),
    ],
)
def test_what_cannot_be_is_rejected_by_name(field: str, value: Json) -> None:
    with pytest.raises(Rejected) as caught:
        _read(click(**{field: value}))
    assert caught.value.field == field


@pytest.mark.parametrize("record", [None, [], "click", 5, {}])
def test_an_event_is_an_object_with_a_type(record: Json) -> None:
    with pytest.raises(Rejected):
        _read(record)


def test_an_event_counts_once_unless_it_says_otherwise() -> None:
    assert "click_count" not in _read(click()).record
    assert _read(click(click_count=0)).record["click_count"] == 0


def test_seven_days_is_the_limit() -> None:
    oldest = timestamps.from_ms(RECEIVED_MS - CLICK_MAX_AGE_MS)
    assert _read(click(timestamp=oldest)).timestamp == oldest
    with pytest.raises(Rejected, match="7 days"):
        _read(click(timestamp=timestamps.from_ms(RECEIVED_MS - CLICK_MAX_AGE_MS - 1)))


def test_an_hour_ahead_is_the_limit() -> None:
    _read(click(timestamp=timestamps.from_ms(RECEIVED_MS + HOUR_MS)))
    with pytest.raises(Rejected, match="over an hour"):
        _read(click(timestamp=timestamps.from_ms(RECEIVED_MS + HOUR_MS + 1)))


def test_no_time_is_the_arrival_in_a_stream_and_refused_in_a_file() -> None:
    record = {key: value for key, value in click().items() if key != "timestamp"}
    assert _read(record).timestamp == RECEIVED
    with pytest.raises(Rejected) as caught:
        _read(record, date_by_arrival=False)
    assert caught.value.field == "timestamp"


def test_unknown_keys_are_kept() -> None:
    assert parse(_read(click(colour="red", **{"a.b": {"c": 1}})).text) == click(colour="red", **{"a.b": {"c": 1}})


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=6,
)
keys = st.one_of(st.sampled_from([*click(), "Item_ID", "Click_Counts", "Timestamp", "product_id", "UUID"]), st.text())


@settings(max_examples=400)
@given(st.sampled_from([{}, click()]), st.dictionaries(keys, values, max_size=5))
def test_any_record_is_read_or_rejected_and_left_as_it_was(start: dict[str, Json], more: dict[str, Json]) -> None:
    record = {**start, **more}
    before = repr(copy.deepcopy(record))
    try:
        event = _read(record)
    except Rejected:
        pass
    else:
        assert parse(event.text)["event_id"] == event.event_id
    assert repr(record) == before
