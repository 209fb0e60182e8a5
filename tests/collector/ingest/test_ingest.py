"""What ingest does with items: receipts, conflicts, other people's trucks, poison, and the policy."""

import base64
import logging
from pathlib import Path
from typing import Any

import pytest

from collector import queries
from collector.history import TrackingPolicy
from collector.ingest import Ingest, vouch_for_policy
from collector.ingest.history_writer import HistoryWriter
from contract import timestamps
from contract.codec import Json
from contract.errors import Misconfigured, Retryable
from contract.ingest_items import Item
from tests.collector.stores_on_disk import Collector, statuses
from tests.contract.examples import RECEIVED_MS, click, flat, put, sample

BRAKES = "vehicle_health_and_maintenance.brake_status"


def _audit(collector: Collector) -> dict[str, Any]:
    row: dict[str, Any] = queries.audit(collector.store, now_ms=RECEIVED_MS, grace_ms=10_000)["trucks"][0]
    return row


def test_receipts_come_in_the_order_of_the_items(collector: Collector) -> None:
    """Whatever is mixed in one call: each item has its own answer at its own place."""
    records = [
        sample(seq=2),
        b"{",
        sample(truck_id="T2", seq=9),
        sample(seq=2),
        sample(seq=1),
        sample(seq=3, truck_id=""),
    ]
    receipts = collector.take(*records)
    said = [(receipt.status, receipt.id) for receipt in receipts]
    rejected = "rejected"
    expected = [("accepted", 2), (rejected, None), ("accepted", 9), ("duplicate", 2), ("accepted", 1), (rejected, 3)]
    assert said == expected
    assert receipts[5].field == "truck_id"


def test_a_click_is_answered_by_its_event_id(collector: Collector) -> None:
    receipts = collector.take(click(event_id="a"), click(event_id="b", price=-1), click(event_id="a"), kind="click")
    assert [(each.status, each.id) for each in receipts] == [("accepted", "a"), ("accepted", "b"), ("duplicate", "a")]
    assert list(receipts[1].warnings) == ["price"]
    [refused] = collector.take(click(event_id="\0"), kind="click")
    assert (refused.status, refused.field) == ("rejected", "event_id")


def test_the_same_again_is_a_duplicate_and_keeps_its_first_arrival(collector: Collector) -> None:
    collector.take(sample())
    assert statuses(collector.take(sample(), received_ms=RECEIVED_MS + 5_000)) == ["duplicate"]
    [version] = queries.history(collector.store, "T1")
    assert version["load_timestamp"] == "2024-06-01T12:00:00.000Z"


def test_another_spelling_of_the_same_is_a_duplicate(collector: Collector) -> None:
    collector.take(b'{"truck_id":"T1","timestamp":"2024-01-01T00:00:00Z","vehicle_speed":36.0}')
    other = b'{ "vehicle_speed": 3.6e1, "timestamp": "2024-01-01T00:00:00Z", "truck_id": "\\u0054" }'
    assert statuses(collector.take(other.replace(b"\\u0054", b"\\u00541"))) == ["duplicate"]


def test_two_contents_under_one_number_are_both_kept_and_reported(collector: Collector) -> None:
    assert statuses(collector.take(sample(), put(sample(), BRAKES, "worn"))) == ["accepted", "accepted"]
    assert len(collector.history()) == 2
    assert _audit(collector)["conflicts"] == [[1, 1]]


def test_a_conflict_is_found_across_batches_and_once(collector: Collector) -> None:
    collector.take(sample())
    for _ in range(2):
        collector.take(put(sample(), BRAKES, "worn"))
    row = _audit(collector)
    assert (row["received"], row["conflicts"]) == (1, [[1, 1]])


def test_a_record_without_a_time_is_known_by_its_content(collector: Collector) -> None:
    record = {"truck_id": "T1", "vehicle_speed": 3}
    first = collector.on_topic("T1", record)
    again = collector.on_topic("T1", record, record, received_ms=RECEIVED_MS + 60_000)
    assert statuses([*first, *again]) == ["accepted", "duplicate", "duplicate"]
    assert len(collector.history()) == 1
    assert not collector.faults()


def test_a_record_of_another_truck_is_refused_on_this_trucks_topic(collector: Collector) -> None:
    [receipt] = collector.on_topic("T1", sample(truck_id="T2"))
    assert (receipt.status, receipt.field) == ("rejected", "truck_id")
    assert "T1" in (receipt.reason or "")
    assert not queries.trucks(collector.store)


@pytest.mark.parametrize("truck_id", ["T 1", "", "T" * 65, "ä"])
def test_a_topic_that_names_no_truck_is_refused(collector: Collector, truck_id: str) -> None:
    [receipt] = collector.on_topic(truck_id, sample())
    assert (receipt.status, receipt.field) == ("rejected", "truck_id")


@pytest.mark.parametrize("what", ["report", "status"])
def test_a_report_comes_on_its_trucks_own_topic(collector: Collector, what: str) -> None:
    record = {"stream_id": "s1", "highest_seq": 3, "state": "online"}
    [receipt] = collector.on_topic("T1", record, what=what)
    assert receipt.status == "accepted"
    kinds: Any = what
    [alone] = collector.take(record, kind=kinds, source="file:telemetry")
    assert (alone.status, alone.field) == ("rejected", "truck_id")


def test_a_status_is_remembered_and_tells_of_missing_samples(collector: Collector) -> None:
    collector.on_topic("T1", {"state": "online", "stream_id": "s1", "highest_seq": 3}, what="status")
    assert '"online"' in (collector.store.status("T1") or "")
    assert _audit(collector)["holes"] == [[1, 3]]


def test_a_status_with_nothing_buffered_ends_what_a_report_called_pending(collector: Collector) -> None:
    collector.on_topic("T1", {"stream_id": "s1", "highest_seq": 3, "pending": [[1, 3]]}, what="report")
    grace_over = RECEIVED_MS + 60_000
    assert queries.audit(collector.store, now_ms=grace_over, grace_ms=10_000)["trucks"][0]["late"] == [[1, 3]]
    collector.on_topic("T1", {"state": "online", "stream_id": "s1", "highest_seq": 3, "buffered": 0}, what="status")
    assert queries.audit(collector.store, now_ms=grace_over, grace_ms=10_000)["trucks"][0]["late"] == []


def test_a_refused_sample_of_the_trucks_own_is_settled(collector: Collector) -> None:
    """It came: asking for it again would bring the same."""
    collector.on_topic("T1", sample(seq=1), put(sample(seq=2), "gps_location.latitude", 91), sample(seq=3))
    row = _audit(collector)
    assert (row["holes"], row["dead_lettered"]) == ([], [[2, 2]])


@pytest.mark.parametrize("seq", [0, -1, 2**63, 10**400, "2", True, None, 1.5])
def test_a_refused_sample_with_a_number_that_is_none_settles_nothing(collector: Collector, seq: Json) -> None:
    collector.on_topic("T1", sample(seq=1), put(sample(seq=seq), "gps_location.latitude", 91))
    assert _audit(collector)["dead_lettered"] == []


def test_a_stranger_cannot_settle_a_trucks_numbers(collector: Collector) -> None:
    """Neither through a door where nobody vouches for the truck, nor on a topic of another's."""
    collector.on_topic("T1", sample(seq=1), sample(seq=3))
    bad = put(sample(seq=2), "gps_location.latitude", 91)
    collector.take(bad, source="http:telemetry")
    collector.on_topic("T9", bad)
    assert _audit(collector)["holes"] == [[2, 2]]


def test_unknown_keys_are_counted_and_warned_of_once(collector: Collector, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        collector.take(sample(seq=1, game_location={}), sample(seq=2, game_location={}))
    assert collector.ingest.unknown_keys == {"game_location": 2}
    assert [record.getMessage() for record in caplog.records] == ["unknown_key_kept key=game_location truck=T1"]


POISON = [
    b"",
    b"{",
    b"[1]",
    b"\xff\xfe",
    b"null",
    b'{"truck_id":"T1"}' * 2,
    b"[" * 5000,
    b'{"truck_id":"T1","sampled_at":"1970-01-01T00:00:00Z"}',
    b'{"truck_id":"T1","sampled_at":"2100-01-01T00:00:00Z"}',
    b'{"truck_id":"T1","vehicle_speed":NaN,"stream_id":"s1","seq":7}',
    b'{"truck_id":"T1","x":1e999,"stream_id":"s1","seq":7}',
    b'{"truck_id":"T1","vehicle_speed":1e-999999999}',
    b'{"truck_id":"\\ud800"}',
    b'{"truck_id":"T1","quality":{"\\ud800":"x"}}',
    b'{"truck_id":"T1","\\ud800":1}',
    b'{"TRUCK_ID":"T1","GPS_LATITUDE":1,"gps_location":5}',
    b'{"truck_id":"T1","seq":1}',
    b'{"truck_id":"T1","stream_id":"\\u0000","seq":1}',
]


@pytest.mark.parametrize("poison", POISON)
def test_a_poison_record_stops_nothing(collector: Collector, poison: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """It is kept with a reason, its neighbours are taken, and nobody needed a traceback."""
    receipts = collector.on_topic("T1", sample(seq=1), poison, sample(seq=2))
    assert statuses(receipts) == ["accepted", "rejected", "accepted"]
    [letter] = queries.dead_letters(collector.store)
    assert letter["reason"]
    assert (letter["reason"], letter["field"]) == (receipts[1].reason, receipts[1].field)
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize(
    "kept",
    [
        b'{"truck_id":"T1","vehicle_health_and_maintenance":{"brake_status":"\\ud800"}}',
        b'{"truck_id":"T1","a.b":"\\udfff"}',
        b'{"truck_id":"T1","gps_location.latitude":5}',
        b'{"truck_id":"T1","x":1e-400,"engine_diagnostics":{"oil_pressure":1e-400}}',
        b'{"truck_id":"T1","":null}',
        b'{"truck_id":"T1","\\u0000":"\\u0000"}',
    ],
)
def test_an_odd_record_is_kept_and_can_be_read(collector: Collector, kept: bytes) -> None:
    assert statuses(collector.on_topic("T1", kept)) == ["accepted"]
    assert queries.trucks(collector.store)[0]["truck_id"] == "T1"
    assert not collector.faults()


class Choking(HistoryWriter):
    """An applier with a bug: it chokes on one truck."""

    def write(self, truck_id: str, samples: Any, received_ms: Any) -> list[bool]:
        if truck_id == "BAD":
            raise RuntimeError("a bug")
        return super().write(truck_id, samples, received_ms)


def test_a_bug_of_ours_buries_one_record_and_no_other(collector: Collector) -> None:
    choking = Ingest(collector.store, collector.policy, Choking)
    records = [sample(seq=seq, truck_id="BAD" if seq == 5 else "T1") for seq in range(1, 9)]
    receipts = choking.ingest([Item("telemetry", "http:telemetry", record, RECEIVED_MS) for record in records])
    assert [receipt.status == "rejected" for receipt in receipts] == [seq == 5 for seq in range(1, 9)]
    [letter] = queries.dead_letters(collector.store)
    assert "a bug" in letter["reason"]


def test_a_fault_of_the_store_takes_nothing(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even what had been put before: the caller keeps all of it."""

    def full(*_: object) -> None:
        raise Retryable("the disk is full")

    monkeypatch.setattr(collector.store, "put_clicks", full)
    with pytest.raises(Retryable):
        collector.take(sample())
    monkeypatch.undo()
    assert statuses(collector.take(sample())) == ["accepted"]


def test_nothing_in_nothing_out(collector: Collector) -> None:
    assert collector.ingest.ingest([]) == []
    assert collector.take({"records": []}) == []


def test_an_empty_store_takes_a_policy_and_keeps_it(tmp_path: Path) -> None:
    Collector(tmp_path / "m.db").close()
    with pytest.raises(Misconfigured, match="milepost rebuild"):
        Collector(tmp_path / "m.db", TrackingPolicy.of("every-sample"))


def test_a_rebuild_under_another_policy_stops_those_who_still_have_the_old_one(collector: Collector) -> None:
    """A running `milepost up` must not mix two policies' keys into one history; its senders keep their records."""
    with collector.store.unit():
        collector.store.remember_policy(TrackingPolicy.of("every-sample").text)
    with pytest.raises(Retryable, match="policy"):
        collector.take(sample())
    assert not queries.trucks(collector.store)


def test_vouching_twice_is_no_harm(collector: Collector) -> None:
    vouch_for_policy(collector.store, TrackingPolicy.of())


def test_an_old_click_is_taken_however_late_it_comes(collector: Collector) -> None:
    """SQLite keeps identities for ever: nothing is too old to be counted once."""
    old = RECEIVED_MS + 400 * 86_400_000
    assert [collector.take(click(), kind="click", received_ms=old)[0].status for _ in range(2)] == [
        "accepted",
        "duplicate",
    ]


def test_a_batchs_sent_at_is_its_events(collector: Collector) -> None:
    """A browser's clock two hours ahead: said once beside the events, and corrected for each."""
    ahead = timestamps.from_ms(RECEIVED_MS + 7_200_000)
    events = [click(event_id=f"e{n}", timestamp=timestamps.from_ms(RECEIVED_MS + 7_199_000)) for n in range(2)]
    receipts = collector.take({"events": events, "sent_at": ahead}, kind="click")
    assert [receipt.status for receipt in receipts] == ["accepted"] * 2
    assert {each.timestamp for each in collector.store.clicks()} == {timestamps.from_ms(RECEIVED_MS - 1_000)}


def test_the_load_timestamp_is_the_opening_samples_arrival(collector: Collector) -> None:
    collector.take(put(sample(seq=2, sampled_at="2024-06-01T11:30:00Z"), BRAKES, "worn"))
    collector.take(sample(seq=1, sampled_at="2024-06-01T11:00:00Z"), received_ms=RECEIVED_MS + 1)
    first, second = queries.history(collector.store, "T1")
    assert (first["load_timestamp"], second["load_timestamp"]) == (
        "2024-06-01T12:00:00.001Z",
        "2024-06-01T12:00:00.000Z",
    )


def test_earlier_and_todays_records_of_a_truck_make_one_history(collector: Collector) -> None:
    collector.take(flat(), sample(), flat(LOAD_TIMESTAMP="2024-05-02T00:00:00Z", BRAKE_STATUS="worn"))
    starts = [row["effective_start_date"] for row in collector.history()]
    assert starts == ["2024-05-01T08:30:00.123Z", "2024-05-02T00:00:00.000Z", "2024-06-01T11:59:00.000Z"]


def test_a_dead_letter_that_repeats_is_counted_not_stored_twice(collector: Collector) -> None:
    for _ in range(3):
        collector.take(b"{", b"[")
    letters = list(collector.store.dead_letters())
    assert sorted((letter.payload, letter.times) for letter in letters) == [(b"[", 3), (b"{", 3)]


def test_a_dead_letter_of_another_source_is_another(collector: Collector) -> None:
    collector.take(b"{")
    collector.take(b"{", source="http:telemetry")
    assert len(queries.dead_letters(collector.store)) == 2


def test_a_dead_letter_keeps_the_bytes_as_they_came(collector: Collector) -> None:
    """Of one record of a batch: its own text, exactly."""
    collector.take(
        b'{"records":[{"truck_id":"T1","sampled_at":"2024-06-01T00:00:00Z"}, { "truck_id" : "", "x": 1.50 } ]}'
    )
    collector.take(b"\xff{")
    payloads = [letter["payload"] for letter in queries.dead_letters(collector.store)]
    expected: list[Json] = ['{ "truck_id" : "", "x": 1.50 }', {"$base64": base64.b64encode(b"\xff{").decode()}]
    assert sorted(payloads, key=str) == sorted(expected, key=str)
