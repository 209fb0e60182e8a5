"""`milepost dead-letters`: listed and shown as they came, taken in again as what they were."""

from pathlib import Path
from typing import Any

import pytest

from collector.history import TrackingPolicy
from collector.ingest import Ingest, unpack, vouch_for_policy
from collector.stores.factory import open_store
from contract.codec import dump
from contract.ingest_items import Item
from tests.cli.conftest import Milepost, write
from tests.contract.examples import RECEIVED_MS, sample


def test_a_dead_letter_is_listed_and_shown_whole(filled: Milepost) -> None:
    [letter] = filled("dead-letters", "list", "--json").json
    assert set(letter) == {"id", "received_at", "source", "reason", "field", "payload"}
    assert (letter["source"], letter["field"], letter["payload"]) == ("file:telemetry", "truck_id", '{"truck_id": ""}')
    shown = filled("dead-letters", "show", letter["id"], "--json").json
    assert shown == {**letter, "times": 1}
    assert letter["payload"] in filled("dead-letters", "show", letter["id"]).out.decode()


def test_a_payload_that_is_no_text_is_base64(cli: Milepost) -> None:
    Path("t.jsonl").write_bytes(b"\xff\xfd\n")
    cli("ingest", "t.jsonl")
    assert cli("dead-letters", "list", "--json").json[0]["payload"] == {"$base64": "//0="}
    assert cli("dead-letters", "list").code == 0


def test_a_retry_is_refused_again_while_nothing_was_mended(filled: Milepost) -> None:
    ran = filled("dead-letters", "retry", "--json")
    assert (ran.code, ran.json) == (1, {"accepted": 0, "duplicate": 0, "rejected": 1})
    assert len(filled("dead-letters", "list", "--json").json) == 1


def test_a_retry_after_a_fix_takes_them_in(cli: Milepost, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a newer Milepost knows what an older one refused: here, a bound that was wrong."""
    from contract import records

    def refuse(*_: object) -> None:
        raise records.Rejected("seq", "an older Milepost did not like it")

    file = write("t.jsonl", sample(seq=1), sample(seq=2, sampled_at="2024-06-01T12:00:00Z"))
    with monkeypatch.context() as older:
        older.setattr(records, "is_plain", refuse)  # the first that looks at a sample
        assert cli("ingest", file).code == 1
    first, _ = cli("dead-letters", "list", "--json").json
    assert cli("dead-letters", "retry", first["id"], "--json").json["accepted"] == 1
    assert len(cli("dead-letters", "list", "--json").json) == 1
    assert cli("dead-letters", "retry", "--json").json["accepted"] == 1
    assert cli("dead-letters", "list", "--json").json == []
    assert cli("audit", "--json").json["trucks"][0]["received"] == 2


def _post(truck_id: str, record: Any) -> None:
    """As the beacon takes it of one whose key is that truck's."""
    store, policy = open_store("sqlite:///milepost-data/milepost.db"), TrackingPolicy.of()
    vouch_for_policy(store, policy)
    Ingest(store, policy).ingest([Item("telemetry", "http:telemetry", record, RECEIVED_MS, truck_id=truck_id)])
    store.close()


def test_a_key_still_vouches_for_its_own_truck_only_when_a_record_is_retried(cli: Milepost) -> None:
    _post("T1", sample(truck_id="T2"))
    [letter] = cli("dead-letters", "list", "--json").json
    assert (letter["source"], letter["field"]) == ("http:telemetry/T1", "truck_id")
    assert cli("dead-letters", "retry", "--json").json == {"accepted": 0, "duplicate": 0, "rejected": 1}
    assert cli("trucks", "--json").json == []
    [again] = cli("dead-letters", "list", "--json").json
    assert again == letter


def test_what_a_key_vouched_for_heals_its_trucks_ledger_when_it_is_retried(
    cli: Milepost, monkeypatch: pytest.MonkeyPatch
) -> None:
    from contract import records

    def refuse(*_: object) -> None:
        raise records.Rejected("seq", "an older Milepost did not like it")

    with monkeypatch.context() as older:
        older.setattr(records, "is_plain", refuse)  # the first that looks at a sample
        _post("T1", sample(seq=1))
    assert cli("audit", "--json").json["trucks"][0]["dead_lettered"] == [[1, 1]]
    assert cli("dead-letters", "retry", "--json").json["accepted"] == 1
    [row] = cli("audit", "--json").json["trucks"]
    assert (row["received"], row["dead_lettered"]) == (1, [])


def test_a_message_of_too_many_records_is_taken_apart_by_a_retry(cli: Milepost) -> None:
    """Each record counts, and one that is wrong is a dead letter of its own; from a file it is taken at once."""
    later = [sample(seq=seq, sampled_at=f"2024-06-01T11:00:0{seq}Z") for seq in (2, 3)]
    records = [sample(seq=1)] * 9_998 + [*later, sample(seq=4, vehicle_speed=-1)]
    text = dump({"records": records})
    store, policy = open_store("sqlite:///milepost-data/milepost.db"), TrackingPolicy.of()
    vouch_for_policy(store, policy)
    message = Item("telemetry", "mqtt:fleet/T1/telemetry", text.encode(), RECEIVED_MS, truck_id="T1")
    Ingest(store, policy).ingest(unpack(message))
    store.close()
    [letter] = cli("dead-letters", "list", "--json").json
    assert "dead-letters retry" in letter["reason"]
    assert cli("audit", "--json").json["trucks"][0]["dead_lettered"] == [[1, 4]]
    ran = cli("dead-letters", "retry", "--json")
    assert (ran.code, ran.json) == (1, {"accepted": 3, "duplicate": 9_997, "rejected": 1})
    [refused] = cli("dead-letters", "list", "--json").json
    assert (refused["field"], refused["payload"]) == ("vehicle_speed", dump(records[-1]))
    [row] = cli("audit", "--json").json["trucks"]
    assert (row["received"], row["dead_lettered"], row["holes"]) == (3, [[4, 4]], [])
    Path("t.jsonl").write_text(text)
    assert cli("ingest", "t.jsonl", "--json").json == {"accepted": 0, "duplicate": 10_000, "rejected": 1}


def test_one_or_all_may_be_discarded_but_not_by_accident(filled: Milepost) -> None:
    [letter] = filled("dead-letters", "list", "--json").json
    assert filled("dead-letters", "discard").code == 2
    assert filled("dead-letters", "discard", letter["id"], "--all").code == 2
    assert filled("dead-letters", "discard", letter["id"], "--json").json == {"discarded": 1}
    assert filled("dead-letters", "list", "--json").json == []
    assert filled("dead-letters", "discard", letter["id"]).code == 2
    assert filled("dead-letters", "discard", "--all", "--json").json == {"discarded": 0}
