"""Records that are made to cost more than themselves: each costs itself alone."""

import pytest

from collector import queries
from contract.codec import Json
from contract.timestamps import from_ms
from tests.collector.stores_on_disk import Collector
from tests.contract.examples import RECEIVED_MS, click, sample

BOMB = "[" + ",".join(["1e400"] * 2_000) + "]"


def test_a_number_bomb_in_a_sample_is_refused_by_its_field_and_settled(collector: Collector) -> None:
    start = '{"truck_id":"T1","stream_id":"s","seq":1,"sampled_at":"2024-06-01T11:00:00.000Z","x":'
    bomb = start + BOMB + "}"
    receipts = collector.on_topic("T1", bomb.encode(), sample(stream_id="s", seq=2))
    assert [(each.status, each.field) for each in receipts] == [("rejected", "x"), ("accepted", None)]
    assert collector.store.ledgers("T1")["s"].missing().as_lists() == []


def test_a_number_bomb_in_a_click_costs_its_field_alone(collector: Collector) -> None:
    text = '{"event_id":"bomb","event_type":"click","item_id":"i","x":' + BOMB + "}"
    [receipt] = collector.take(text.encode(), kind="click")
    assert (receipt.status, list(receipt.warnings)) == ("accepted", ["x"])
    [stored] = collector.store.clicks()
    assert len(stored.text) < 1_000


@pytest.mark.parametrize(
    ("what", "text", "field"),
    [
        ("status", '{"state":"online","x":[1,1e400]}', "x.1"),
        ("status", '{"state":"online","buffered":1e400}', "buffered"),
        (
            "report",
            '{"stream_id":"s","highest_seq":1,"never_stored":[{"run":"r","count":1e400}]}',
            "never_stored.0.count",
        ),
        ("report", '{"stream_id":"s","highest_seq":%s}' % ("9" * 5_000), "highest_seq"),
    ],
)
def test_a_number_bomb_in_a_truck_s_word_is_refused_by_its_field(
    collector: Collector, what: str, text: str, field: str
) -> None:
    [receipt] = collector.on_topic("T1", text.encode(), what=what)
    assert (receipt.status, receipt.field) == ("rejected", field)
    assert (collector.store.status("T1"), collector.store.ledgers("T1")) == (None, {})


@pytest.mark.parametrize(
    "sent_at", ["NaN", "1e-500", "[-Infinity]", '{"a":1e400,"b":1.00000000000000000000001,"c":NaN}']
)
def test_a_sending_time_that_is_no_json_costs_no_other_event(collector: Collector, sent_at: str) -> None:
    """It is a part of each event's own text; written into the refused one's letter, it stopped the whole group."""
    batch = '{"events":[{"event_id":"e1"},{"event_id":"\\u0000"},7],"sent_at":' + sent_at + "}"
    receipts = collector.take(batch.encode(), kind="click", source="http:clicks")
    assert [each.status for each in receipts] == ["accepted", "rejected", "rejected"]
    assert len(queries.dead_letters(collector.store)) == 2


def test_a_status_over_the_limit_is_refused_at_the_door(collector: Collector) -> None:
    [receipt] = collector.on_topic("T1", {"state": "online", "x": "ü" * 50_000}, what="status")
    assert (receipt.status, "bytes of JSON" in (receipt.reason or "")) == ("rejected", True)


def test_a_message_of_too_many_records_is_one_dead_letter(collector: Collector) -> None:
    receipts = collector.on_topic("T1", {"records": [sample()] * 10_001})
    assert [(each.status, each.field) for each in receipts] == [("rejected", "records")]
    [letter] = queries.dead_letters(collector.store)
    assert "10001 records in one message" in letter["reason"]


def test_the_numbers_in_a_message_of_too_many_records_are_settled(collector: Collector) -> None:
    """Asked for again, the truck would send the very message again; another truck's numbers in it settle nothing."""
    mine = [sample(stream_id="s", seq=number) for number in range(1, 10_001)]
    collector.on_topic("T1", {"records": [*mine, sample(truck_id="T2", stream_id="s", seq=1), {"seq": 1}, None]})
    collector.on_topic("T1", sample(stream_id="s", seq=10_002))
    ledger = collector.store.ledgers("T1")["s"]
    assert (ledger.dead_lettered.as_lists(), ledger.missing().as_lists()) == ([[1, 10_000]], [[10_001, 10_001]])
    assert collector.store.ledgers("T2") == {}


@pytest.mark.parametrize("record", [click(page="x" * 300_000, more="y" * 300_000), sample(note="x" * 300_000)])
def test_a_record_over_the_limit_is_refused_at_the_door(collector: Collector, record: Json) -> None:
    [receipt] = collector.take(record, kind="click" if "event_id" in record else "telemetry")
    assert (receipt.status, "bytes of JSON" in (receipt.reason or "")) == ("rejected", True)


def test_unknown_keys_are_remembered_up_to_a_bound(collector: Collector) -> None:
    samples = [
        sample(seq=n + 1, sampled_at=from_ms(RECEIVED_MS - 3_600_000 + n), **{f"made_up_{n}": 1}) for n in range(1_200)
    ]
    assert {receipt.status for receipt in collector.take(*samples)} == {"accepted"}
    assert len(collector.ingest.unknown_keys) == 1_000
