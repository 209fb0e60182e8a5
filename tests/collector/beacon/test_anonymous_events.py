"""Events that bring neither an id nor a time are not lost as duplicates of one another."""

import pytest

from collector.beacon.anonymous_events import AnonymousEvents
from contract.codec import Json, parse
from contract.ingest_items import Item
from tests.contract.examples import RECEIVED_MS

VIEW: dict[str, Json] = {"event_type": "page_view", "page": "/"}
MINUTE = 60_000


def name(
    event: Json, *, peer: str = "192.0.2.1", at: int = RECEIVED_MS, secret: str = "s", text: str | None = None
) -> Json:
    scope = {"client": (peer, 1), "headers": []}
    item = Item("click", "http:clicks", event, at, text=text)
    [found] = AnonymousEvents(secret).identified([item], scope)
    if found.text is not None and found is not item:
        assert parse(str(found.text)) == found.record
    return found.record.get("event_id") if isinstance(found.record, dict) else None


def test_two_visitors_and_two_minutes_are_apart_and_a_retry_is_not() -> None:
    assert name(VIEW) == name(dict(VIEW)) == name(VIEW, at=RECEIVED_MS + MINUTE - 1)
    names = [name(VIEW), name(VIEW, peer="192.0.2.2"), name(VIEW, at=RECEIVED_MS + MINUTE), name(VIEW, secret="other")]
    assert len(set(names)) == 4
    assert all(str(each).startswith("anon-") for each in names)


def test_the_batchs_sent_at_makes_no_other_event() -> None:
    assert name({**VIEW, "sent_at": "2024-06-01T12:00:00Z"}) == name(VIEW)


@pytest.mark.parametrize(
    "text",
    ['{"event_type": "page_view", "page": "/"}', ' { "event_id":null,"event_type":"page_view","page":"/"}', "{}"],
)
def test_the_source_text_carries_it_on(text: str) -> None:
    """Of a stream only the text is kept."""
    assert str(name(parse(text), text=text)).startswith("anon-")


@pytest.mark.parametrize(
    "more", [{"event_id": "e"}, {"timestamp": "2024-06-01T12:00:00Z"}, {"Timestamp": "2024"}, {"UUID": "u"}]
)
def test_an_event_with_an_id_or_a_time_keeps_its_own(more: dict[str, Json]) -> None:
    assert name({**VIEW, **more}) == more.get("event_id")


def test_what_is_no_event_and_what_json_cannot_say_are_left_for_ingest() -> None:
    assert name(7) is None
    assert name({**VIEW, "x": float("nan")}) is None
    assert name(VIEW, secret="") is None
