"""GET /v1/pixel.gif: an event where no script runs."""

import struct
from typing import Any

import httpx
import pytest

from contract import timestamps
from tests.collector.beacon.fakes import FakeWriter

PIXEL = "/v1/pixel.gif"


def test_it_answers_a_transparent_pixel_that_nobody_caches(client: httpx.Client) -> None:
    answer = client.get(PIXEL)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/gif"
    assert answer.headers["cache-control"] == "no-store"
    assert len(answer.content) == 43
    assert answer.content[:6] == b"GIF89a"
    assert struct.unpack("<HH", answer.content[6:10]) == (1, 1)
    assert "x-milepost-rejected" not in answer.headers


def test_known_fields_are_taken_and_numbers_become_numbers(client: httpx.Client, writer: FakeWriter) -> None:
    query = {"event_id": "p1", "event_type": "purchase", "price": "12.50", "quantity": "2", "click_count": "3"}
    client.get(PIXEL, params={**query, "item_name": "Öl 5 W", "_": "cache buster"}, headers={"Referer": "http://a/"})
    record = writer.items[0].record
    assert isinstance(record, dict)
    del record["timestamp"]
    assert record == {
        "event_id": "p1",
        "event_type": "purchase",
        "price": 12.5,
        "quantity": 2,
        "click_count": 3,
        "item_name": "Öl 5 W",
        "page": "http://a/",
    }


def test_what_is_missing_is_filled_in(client: httpx.Client, writer: FakeWriter) -> None:
    client.get(PIXEL, headers={"Referer": "https://shop.example/x?y"})
    client.get(PIXEL)
    first, second = (item.record for item in writer.items)
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert first["event_type"] == "page_view"
    assert first["page"] == "https://shop.example/x"
    assert first["timestamp"] == timestamps.from_ms(writer.items[0].received_ms)
    assert "page" not in second
    assert first["event_id"] != second["event_id"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"price": "abc"}, "price"),
        ({"price": "NaN"}, "price"),
        ({"price": "1e999"}, "price"),
        ({"quantity": "true"}, "quantity"),
        ({"quantity": "[1]"}, "quantity"),
        ({"click_count": "1.5"}, "click_count"),
        ({"event_type": "häh\r\nX-Evil: 1"}, "event_type"),
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"item_id": "x" * 300}, "item_id"),
    ],
)
def test_a_field_that_is_set_aside_is_named_beside_the_pixel(client: httpx.Client, query: Any, field: str) -> None:
    answer = client.get(PIXEL, params=query)
    assert answer.status_code == 200
    assert answer.headers["x-milepost-warnings"].startswith(f"{field}: ")
    assert "x-evil" not in answer.headers


def test_a_rejected_event_still_shows_the_pixel_and_says_why(client: httpx.Client) -> None:
    answer = client.get(PIXEL, params={"event_id": "a\x00b"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/gif")
    assert answer.headers["x-milepost-rejected"].startswith("event_id: ")


@pytest.mark.parametrize("mode", ["is full", "fails"])
def test_it_is_a_503_when_it_is_not_durable(client: httpx.Client, writer: FakeWriter, mode: Any) -> None:
    writer.mode = mode
    answer = client.get(PIXEL)
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert answer.headers["cache-control"] == "no-store"


def test_asking_for_the_head_alone_is_no_view(client: httpx.Client, writer: FakeWriter) -> None:
    assert client.head(PIXEL).status_code == 200
    assert writer.items == []


def test_a_query_of_garbage_is_an_event_or_a_reason_never_a_fault(client: httpx.Client) -> None:
    for query in ("%ff%fe=%00", "&&&===", "page=%ff%00", "a" * 20_000, "event_id=%F0%9F%9A%9A"):
        assert client.get(f"{PIXEL}?{query}").status_code == 200


def test_of_a_referrer_its_campaign_is_kept_and_no_other_part_of_its_query(
    client: httpx.Client, writer: FakeWriter
) -> None:
    client.get(PIXEL, headers={"Referer": "https://shop.example/x?token=secret&utm_source=mail&utm_evil=1#part"})
    record = writer.items[0].record
    assert isinstance(record, dict)
    assert (record["page"], record["utm_source"]) == ("https://shop.example/x", "mail")
    assert not {"token", "utm_evil"} & record.keys()


@pytest.mark.parametrize(
    "asks_ahead",
    [
        {"Sec-Purpose": "prefetch"},
        {"Sec-Purpose": "prefetch;prerender"},
        {"Purpose": "prefetch"},
        {"X-Moz": "prefetch"},
    ],
)
def test_a_prefetch_is_no_view(client: httpx.Client, writer: FakeWriter, asks_ahead: dict[str, str]) -> None:
    assert client.get(PIXEL, headers=asks_ahead).headers["content-type"] == "image/gif"
    assert writer.items == []
