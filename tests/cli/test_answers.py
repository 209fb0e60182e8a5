"""What `history --at` and `audit` answer."""

import pytest

from collector.history import TrackingPolicy
from collector.ingest import Ingest, vouch_for_policy
from collector.stores.factory import open_store
from contract.codec import dump
from contract.ingest_items import Item
from tests.cli.conftest import Milepost, write
from tests.contract.examples import RECEIVED_MS, sample


def test_history_at_a_time_without_a_zone_is_utc(filled: Milepost) -> None:
    [row] = filled("history", "T1", "--at", "2024-06-01 11:59:30", "--json").json
    assert (row["effective_start_date"], row["is_current"]) == ("2024-06-01T11:59:00.000Z", False)
    [row] = filled("history", "T1", "--at", "2024-06-01T14:00:00+02:00", "--json").json
    assert row["is_current"]
    assert filled("history", "T1", "--at", "2024-06-01T11:58:59Z", "--json").json == []


def test_audit_is_exit_1_for_a_hole_that_is_no_longer_late(cli: Milepost, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("ingest", write("t.jsonl", sample(seq=1), sample(seq=3)))
    early = cli("audit", "--json")
    assert (early.code, early.json["trucks"][0]["late"]) == (0, [[2, 2]])
    assert "Nothing is lost; 1 late" in cli("audit").out.decode()
    monkeypatch.setenv("MILEPOST_COLLECTOR__RESEND_AFTER", "0.000001")
    late = cli("audit", "--json")
    assert (late.code, late.json["trucks"][0]["holes"], late.json["trucks"][0]["late"]) == (1, [[2, 2]], [])
    assert cli("audit").code == 1
    assert cli("audit", "T9", "--json").json == {"lost": 0, "trucks": []}


def test_a_stream_that_is_closed_by_hand_is_waited_for_no_longer(cli: Milepost) -> None:
    cli("ingest", write("t.jsonl", sample(seq=1), sample(seq=4, sampled_at="2024-06-01T12:00:00Z")))
    stream_id = sample()["stream_id"]
    assert cli("audit", "close", "T1", "no-such-stream").code == 2
    closed = cli("audit", "close", "T1", stream_id, "--json")
    assert (closed.code, closed.json["lost"]) == (0, 2)
    after = cli("audit", "--json")
    assert (after.code, after.json["lost"], after.json["trucks"][0]["gone"]) == (1, 2, [[2, 3]])
    assert after.json["trucks"][0]["holes"] == []


def test_a_truck_that_was_refused_whole_is_not_nothing_missing(cli: Milepost) -> None:
    store, policy = open_store("sqlite:///milepost-data/milepost.db"), TrackingPolicy.of()
    vouch_for_policy(store, policy)
    records = [{"truck_id": "T7", "vehicle_speed": "fast"}, sample(truck_id="T7", seq=1, vehicle_speed=-1)]
    items = [
        Item("telemetry", "mqtt:fleet/T7/telemetry", dump(each).encode(), RECEIVED_MS, truck_id="T7")
        for each in records
    ]
    Ingest(store, policy).ingest(items)
    store.close()
    ran = cli("audit", "--json")
    rows = {row["stream_id"]: row["refused"] for row in ran.json["trucks"]}
    assert (ran.code, [each["seq"] for each in rows[None]]) == (0, [None])
    assert [each["seq"] for each in rows[sample()["stream_id"]]] == [1]
    assert "Nothing is missing" not in cli("audit").out.decode()
    assert "2 refused" in cli("audit").out.decode()
