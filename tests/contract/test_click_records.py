"""Shop events: what is taken, what is refused, and when."""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract import timestamps
from contract.click_records import ClickEvent, read_click
from contract.codec import Json, parse
from contract.errors import Rejected
from tests.contract.examples import RECEIVED, RECEIVED_MS, click


def _read(record: Json) -> ClickEvent:
    return read_click(record, received_ms=RECEIVED_MS)


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


@pytest.mark.parametrize("value", ["x" * 129, "\ud800", "a\0b", True, [], {"a": 1}])
def test_only_an_unusable_event_id_refuses_an_event(value: Json) -> None:
    with pytest.raises(Rejected) as caught:
        _read(click(event_id=value))
    assert caught.value.field == "event_id"


@pytest.mark.parametrize("record", [None, [], "click", 5])
def test_an_event_is_an_object(record: Json) -> None:
    with pytest.raises(Rejected):
        _read(record)


@pytest.mark.parametrize("value", [None, ""])
def test_without_an_event_id_the_content_is_the_identity(value: Json) -> None:
    one, other = click(event_id=value), click(event_id=value, page="/other")
    assert _read(one).event_id == _read({**one, "sent_at": RECEIVED}).event_id
    assert _read(one).event_id != _read(other).event_id


@pytest.mark.parametrize(("value", "text"), [(5, "5"), (12.5, "12.5")])
def test_numeric_ids_are_text(value: Json, text: str) -> None:
    event = _read(click(event_id=value, user_id=value, item_id=value))
    assert (event.event_id, event.record["user_id"], event.record["item_id"]) == (text, text, text)
    assert not event.warnings


@pytest.mark.parametrize(
    ("field", "value", "kept"),
    [
        ("event_type", "no name", "unknown"),
        ("event_type", 5, "unknown"),
        ("user_id", "", None),
        ("item_id", "x" * 257, None),
        ("item_id", "a\0b", None),
        ("item_name", "half \ud83d", None),
        ("page", "x" * 2049, None),
        ("click_count", -1, 1),
        ("click_count", 1.5, 1),
        ("click_count", "1", 1),
        ("click_count", True, 1),
        ("click_count", None, 1),
        ("click_count", 1001, 1),
        ("price", -1, None),
        ("price", "12,50", None),
        ("price", float("nan"), None),
        ("price", 10**400, None),
        ("quantity", -0.5, None),
        ("user_type", "old", None),
        ("lines", [1], None),
        ("properties", "red", None),
        ("scroll_percent", 101, None),
        ("my_own", 10**41, None),
        ("sent_at", "now", None),
    ],
)
def test_a_bad_optional_field_costs_itself_alone(field: str, value: Json, kept: Json) -> None:
    event = _read(click(**{field: value}))
    assert event.record[field] == kept
    assert list(event.warnings) == list(event.record["refused_fields"]) == [field]
    assert field in event.record["refused_values"]
    assert _read({**click(), field: value}).event_id == _read(click()).event_id


@pytest.mark.parametrize(("said", "kind"), [("Purchase", "purchase"), (" VIEW ", "view"), ("my_event", "my_event")])
def test_a_type_is_trimmed_and_lower_case_and_may_be_ones_own(said: str, kind: str) -> None:
    event = _read(click(event_type=said))
    assert (event.record["event_type"], event.warnings) == (kind, {})


def test_an_event_counts_once_unless_it_says_otherwise() -> None:
    assert "click_count" not in _read(click()).record
    assert _read(click(click_count=0)).record["click_count"] == 0
    many = read_click(click(click_count=10**9), received_ms=RECEIVED_MS, trusted=True)
    assert (many.record["click_count"], many.warnings) == (10**9, {})


@pytest.mark.parametrize(
    ("happened", "sent", "timestamp", "quality"),
    [
        (-1000, 0, -1000, "client"),
        (-1000, -5_000, -1000, "client"),
        (7_199_000, 7_200_000, -1000, "corrected"),
        (-8 * 86_400_000 - 1000, -8 * 86_400_000, -1000, "corrected"),
        (3_600_000, None, 0, "received"),
        (None, 7_200_000, 0, "received"),
        (-400 * 86_400_000, None, -400 * 86_400_000, "client"),
    ],
)
def test_a_wrong_clock_is_corrected_by_when_it_sent(
    happened: int | None, sent: int | None, timestamp: int, quality: str
) -> None:
    """Milliseconds after the arrival, by the browser's clock."""

    def said(offset: int | None) -> Json:
        return None if offset is None else timestamps.from_ms(RECEIVED_MS + offset)

    event = _read(click(timestamp=said(happened), sent_at=said(sent)))
    assert (event.timestamp, event.record["time_quality"]) == (timestamps.from_ms(RECEIVED_MS + timestamp), quality)


def test_an_unreadable_time_counts_as_none() -> None:
    event = _read(click(timestamp="yesterday"))
    assert (event.timestamp, list(event.warnings)) == (RECEIVED, ["timestamp"])


def test_unknown_keys_are_kept() -> None:
    sent = click(colour="red", **{"a.b": {"c": 1}})
    assert parse(_read(sent).text) == {**sent, "timestamp": _read(sent).timestamp, "time_quality": "client"}


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
