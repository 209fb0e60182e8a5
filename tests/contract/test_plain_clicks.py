"""A plain event is read as it is field by field; and what pages send is plain."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contract import timestamps
from contract.click_records import read_any, read_click
from contract.click_schema import Click
from contract.errors import Rejected
from contract.plain_clicks import plain_text

ARRIVED = timestamps.to_ms("2026-11-29T10:00:01.300Z")
PAGE = {
    "event_id": "0199f2b0-5b1c-7c8e-9a71-1234567890ab",
    "event_type": "page_view",
    "timestamp": "2026-11-29T10:00:00.123Z",
    "user_id": "u-1",
    "session_id": "s-1",
    "user_type": "returning",
    "page": "https://shop.example/laptops/7",
    "referrer_url": "https://www.google.com/",
    "price": 12.5,
    "quantity": 1,
    "properties": {"size": "XL"},
}
SEEN = {"is_bot": True, "browser": "Chrome", "country": "AT", "region": "K\xe4rnten", "country_source": "cdn"}
TIMES = [
    *("2026-11-29T10:00:00.123Z", "2026-11-29 10:00:00.123Z", "2026-13-29T10:00:00.123Z", "2026-11-29T10:00:01.301Z"),
    *("2026-11-29T09:00:00.000Z", "2026-11-29T11:00:00+01:00", "1969-12-31T23:59:59.999Z", "2026-11-28T09:00:00.000Z"),
]
EDGES = [
    *(0, -1, 1, 100, 101, 1000, 1001, 10**15, 10**15 + 1, 10**40, 0.0, -0.0, 1e-5, 1e-4, 0.5, 36.0, 1e15, 1e16, 1e300),
    *(
        float("nan"),
        float("inf"),
        True,
        False,
        None,
        "",
        "new",
        "text",
        " Text ",
        "a\\b",
        'a"b',
        "a\x7f",
        "a\n",
        "\xe9",
    ),
    *("\ud800", "x" * 128, "x" * 129, "x" * 256, "x" * 257, "x" * 2048, "x" * 2049, "view", "View", "a" * 64, "a" * 65),
    *([], [{}], {}, {"a": "b"}, {"a": 1}, {"\ud800": "b"}, {"a": "x" * 300_000}, *TIMES),
]
NAMES = [*Click.model_fields, "received_at", "time_quality", "refused_fields", "product_id", "Item_ID", "unknown"]


def _judged(read: Any, record: dict[str, Any], seen: dict[str, Any], trusted: bool) -> Any:
    try:
        event = read(record, received_ms=ARRIVED, seen=seen, trusted=trusted)
    except Rejected as error:
        return error.field, error.reason
    return repr((sorted(event.record.items()), dict(event.warnings), event._replace(record={}, warnings={})))


@given(
    st.sets(st.sampled_from([*PAGE])),
    st.dictionaries(st.sampled_from(NAMES), st.sampled_from(EDGES) | st.floats() | st.text(max_size=3), max_size=3),
    st.sampled_from([{}, SEEN, {"is_bot": False}]),
    st.booleans(),
)
@example({"timestamp"}, {"timestamp": "2026-11-29T09:00:00.000Z", "sent_at": "2026-11-29T09:30:00.000Z"}, SEEN, False)
@example(set(), {"sent_at": "2026-13-29T10:00:00.123Z"}, {}, False)
@example(set(), {"click_count": 2000}, {}, True)
def test_a_plain_event_is_read_as_any_other(
    left_out: set[str], more: dict[str, Any], seen: dict[str, Any], trusted: bool
) -> None:
    record = {**{name: value for name, value in PAGE.items() if name not in left_out}, **more}
    assert _judged(read_click, record, seen, trusted) == _judged(read_any, record, seen, trusted)


@pytest.mark.parametrize("name", [None, *PAGE])
def test_what_a_page_sends_is_plain(name: str | None) -> None:
    record = {key: value for key, value in PAGE.items() if key != name}
    assert (plain_text(record) is None) == (name in ("event_id", "event_type"))
