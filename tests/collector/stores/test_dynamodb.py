"""What is DynamoDB's own: retention, places that records dated by arrival keep, ledgers in heads, sizes, rebuild."""

import json
import random
import time
from typing import Any

import pytest

from collector import queries
from collector.history import TrackingPolicy
from collector.ingest import Ingest, vouch_for_policy
from collector.rebuild import rebuild, verify
from collector.stores import Change
from collector.stores.dynamodb import DynamoDbStore, items, ledger_items
from collector.stores.dynamodb.truck_heads import kept_of
from contract import timestamps
from contract.codec import dump
from contract.errors import Misconfigured, Retryable
from contract.ingest_items import Item
from contract.ranges import Ranges
from tests import ministack
from tests.collector.stores.cloud import Cloud
from tests.collector.stores_on_disk import statuses
from tests.contract.examples import RECEIVED_MS, click, put, sample
from tests.milepost_here import run

BRAKES = "vehicle_health_and_maintenance.brake_status"
DAY = 86_400_000
NONE = {"accepted": 0, "duplicate": 0, "rejected": 0}


def _ago(days: float, **more: Any) -> dict[str, Any]:
    return sample(sampled_at=timestamps.from_ms(RECEIVED_MS - int(days * DAY)), **more)


def _audit(cloud: Cloud) -> dict[str, Any]:
    row: dict[str, Any] = queries.audit(cloud.store, now_ms=RECEIVED_MS, grace_ms=1)["trucks"][0]
    return row


# Retention


def test_a_sample_over_35_days_old_is_too_late_and_kept_as_a_dead_letter(cloud: Cloud) -> None:
    receipts = cloud.on_topic("T1", _ago(34.9, seq=2), _ago(35.1, seq=1))
    assert statuses(receipts) == ["accepted", "rejected"]
    assert (receipts[1].field, str(receipts[1].reason)[:8]) == ("sampled_at", "too_late")
    assert len(queries.dead_letters(cloud.store)) == 1
    assert (_audit(cloud)["dead_lettered"], _audit(cloud)["holes"]) == ([[1, 1]], [])


def test_one_that_is_stored_already_is_a_duplicate_however_late_it_comes_again(cloud: Cloud) -> None:
    cloud.on_topic("T1", _ago(34, seq=1))
    later = RECEIVED_MS + 3 * DAY
    cloud.now = later / 1000
    assert statuses(cloud.on_topic("T1", _ago(34, seq=1), received_ms=later)) == ["duplicate"]
    cloud.now = (later := RECEIVED_MS + 9 * DAY) / 1000
    assert statuses(cloud.on_topic("T1", _ago(34, seq=1), received_ms=later)) == ["rejected"]


def test_what_has_expired_is_not_read_before_it_is_deleted(cloud: Cloud) -> None:
    cloud.take(_ago(1, seq=1), _ago(0.5, seq=2))
    cloud.take(click(event_id="a"), kind="click", source="http:clicks")
    cloud.now += 41.2 * 86_400
    assert [each.seq for each in cloud.store.samples("T1")] == [2]
    assert cloud.store.sample_counts("T1") == (1, 1)
    assert (list(cloud.store.clicks()), cloud.store.has_clicks(["a"])) == ([], set())


def test_a_silent_trucks_latest_sample_and_its_history_outlive_the_samples(cloud: Cloud) -> None:
    cloud.take(
        put(_ago(2, seq=1), BRAKES, "worn"), put(_ago(1, seq=2), BRAKES, "ok"), put(_ago(0, seq=3), BRAKES, "ok")
    )
    before = queries.history(cloud.store, "T1"), queries.trucks(cloud.store)
    assert before[1][0]["latest"]["seq"] == 3
    cloud.now += 100 * 86_400
    assert (queries.history(cloud.store, "T1"), queries.trucks(cloud.store)) == before


def test_expiry_is_42_days_after_the_sample_and_14_after_the_event_was_counted(cloud: Cloud) -> None:
    cloud.take(_ago(1))
    cloud.take(click(event_id="a", timestamp=timestamps.from_ms(RECEIVED_MS - DAY)), kind="click", source="http:clicks")
    assert [each["expires"]["N"] for each in cloud.items("samples")] == [str((RECEIVED_MS + 41 * DAY) // 1000)]
    assert [each["expires"]["N"] for each in cloud.items("clicks")] == [str((RECEIVED_MS + 14 * DAY) // 1000)]


# Records dated by their arrival


def test_one_that_comes_again_keeps_its_first_place(cloud: Cloud) -> None:
    record = {"truck_id": "T1", "vehicle_speed": 3}
    assert statuses(cloud.take(record, record)) == ["accepted", "duplicate"]
    assert statuses(cloud.take(record, received_ms=RECEIVED_MS + 9_000)) == ["duplicate"]
    [version] = queries.history(cloud.store, "T1")
    assert version["effective_start_date"] == version["load_timestamp"] == timestamps.from_ms(RECEIVED_MS)


def test_one_whose_handler_died_before_it_was_put_heals_at_its_first_place(cloud: Cloud) -> None:
    record = {"truck_id": "T1", "vehicle_speed": 3}

    class Dies(DynamoDbStore):
        def put_samples(self, truck_id: str, samples: Any) -> list[bool]:
            raise Retryable("the power is gone")

    dying = Dies(cloud.prefix, cloud.client, clock=lambda: cloud.now)
    with pytest.raises(Retryable):
        Ingest(dying, cloud.policy).ingest([Item("telemetry", "http:telemetry", record, RECEIVED_MS)])
    assert statuses(cloud.take(record, received_ms=RECEIVED_MS + 9_000)) == ["accepted"]
    [version] = queries.history(cloud.store, "T1")
    assert version["effective_start_date"] == version["load_timestamp"] == timestamps.from_ms(RECEIVED_MS)
    assert cloud.faults() == []


def test_one_that_was_put_and_not_applied_was_received_when_it_was_put(cloud: Cloud) -> None:
    class Dies(DynamoDbStore):
        def apply(self, truck_id: str, read: Any, change: Any) -> Any:
            raise Retryable("the power is gone")

    dying = Dies(cloud.prefix, cloud.client, clock=lambda: cloud.now)
    with pytest.raises(Retryable):
        Ingest(dying, cloud.policy).ingest([Item("telemetry", "file:telemetry", sample(), RECEIVED_MS)])
    assert queries.history(cloud.store, "T1") == []
    assert statuses(cloud.take(sample(), received_ms=RECEIVED_MS + 9_000)) == ["duplicate"]
    [version] = queries.history(cloud.store, "T1")
    assert version["load_timestamp"] == timestamps.from_ms(RECEIVED_MS)


# Heads and ledgers


def _heads(cloud: Cloud) -> dict[str, Any]:
    return {each["part"]["S"]: each for each in cloud.items("trucks") if each["truck_id"]["S"] == "T1"}


def test_a_ledger_of_many_ranges_gets_an_item_of_its_own_and_comes_back(cloud: Cloud) -> None:
    holed = [sample(seq=seq, sampled_at=timestamps.from_ms(RECEIVED_MS - DAY + seq)) for seq in range(1, 60, 2)]
    filling = [sample(seq=seq, sampled_at=timestamps.from_ms(RECEIVED_MS - DAY + seq)) for seq in range(2, 60, 2)]
    cloud.on_topic("T1", *holed[:2])
    assert set(_heads(cloud)) == {"head"}
    cloud.on_topic("T1", *holed)
    assert set(_heads(cloud)) == {"head", "ledger#s1"}
    assert _audit(cloud)["received"] == 30
    assert [truck for truck, _, _ in cloud.store.incomplete()] == ["T1"]
    cloud.on_topic("T1", *filling)
    assert set(_heads(cloud)) == {"head"}
    assert (_audit(cloud)["received"], _audit(cloud)["holes"], cloud.store.incomplete()) == (59, [], [])


def test_a_head_stays_within_a_write_unit_whatever_a_truck_has_behind_it(cloud: Cloud) -> None:
    """Long names, many buffer files: the ledgers of silent streams move out, none is lost."""
    truck = "T" * 64
    for number in range(12):
        stream = f"{number:064}"
        for seq in (1, 2, 4):
            at = timestamps.from_ms(RECEIVED_MS - DAY + number * 1000 + seq)
            cloud.on_topic(truck, sample(truck_id=truck, stream_id=stream, seq=seq, sampled_at=at))
    [head] = [each for each in cloud.items("trucks") if each["part"]["S"] == "head"]
    assert items.size(head) <= 1024
    ledgers = cloud.store.ledgers(truck)
    assert [len(ledgers), {ledger.received for ledger in ledgers.values()}] == [12, {Ranges.of([(1, 2), (4, 4)])}]
    assert len(cloud.store.incomplete()) == 12
    cloud.on_topic(truck, *(sample(truck_id=truck, stream_id=f"{number:064}", seq=3) for number in range(12)))
    assert {ledger.received for ledger in cloud.store.ledgers(truck).values()} == {Ranges.of([(1, 4)])}
    assert cloud.store.incomplete() == []


def test_a_stale_ledger_of_its_own_is_refused(cloud: Cloud) -> None:
    """It is fenced like all of a truck."""
    many = Ranges.of_numbers(range(1, 80, 2))
    stale = cloud.store.head("T1", {"s1"})
    first = cloud.store.apply("T1", stale, Change(ledgers={"s1": stale.ledgers["s1"].receive(many, 1)}))
    assert kept_of(first).outside
    with pytest.raises(Retryable):
        cloud.store.apply("T1", stale, Change(ledgers={"s1": stale.ledgers["s1"].receive(many, 2)}))
    assert cloud.store.head("T1", {"s1"}) == first


# Sizes


def test_a_record_that_no_item_can_hold_is_a_dead_letter_and_the_rest_goes_on(cloud: Cloud) -> None:
    noise = random.Random(1).randbytes(600_000).hex()
    receipts = cloud.take(sample(seq=1), sample(seq=2, noise=noise), sample(seq=3))
    assert [status != "rejected" for status in statuses(receipts)] == [True, False, True]
    assert "262144 bytes" in str(receipts[1].reason)
    [letter] = cloud.store.dead_letters()
    assert letter.payload == dump(sample(seq=2, noise=noise)).encode()
    assert cloud.store.dead_letter(letter.id) == letter
    cloud.store.remove_dead_letter(letter.id)
    assert cloud.items("dead_letters") == []


def test_what_is_put_back_weeks_later_is_judged_by_now(cloud: Cloud) -> None:
    """Its envelope says 34 days old; stored now it would expire before it is applied."""
    cloud.now += 10 * 86_400
    assert statuses(cloud.on_topic("T1", _ago(34, seq=1))) == ["rejected"]
    [letter] = cloud.store.dead_letters()
    assert (letter.field, letter.reason[:8]) == ("sampled_at", "too_late")
    assert _audit(cloud)["holes"] == []


def test_what_the_store_refuses_for_good_is_not_asked_for_again(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(item: dict[str, Any]) -> bool:
        if item["order_key"]["S"].split("#")[2].endswith("2"):
            raise ValueError("an attribute that the service does not take")
        return put_sample(item)

    put_sample = cloud.store._put_sample
    monkeypatch.setattr(cloud.store, "_put_sample", refuses)
    receipts = cloud.on_topic("T1", sample(seq=1), sample(seq=2), sample(seq=3))
    assert [status == "rejected" for status in statuses(receipts)] == [False, True, False]
    assert (_audit(cloud)["holes"], _audit(cloud)["dead_lettered"]) == ([], [[2, 2]])


def test_thousands_of_isolated_holes_stop_no_truck(cloud: Cloud) -> None:
    for first in range(1, 16_001, 4_000):
        numbers = Ranges.of_numbers(range(first, first + 4_000, 2))
        head = cloud.store.head("T1", ["s1"])
        cloud.store.apply("T1", head, Change(ledgers={"s1": head.ledgers["s1"].receive(numbers, RECEIVED_MS)}))
    assert statuses(cloud.on_topic("T1", sample(seq=16_000))) == ["accepted"]
    assert len(_audit(cloud)["holes"]) == 7_999
    assert max(items.size(item) for item in cloud.items("trucks")) < 4_096


def test_a_ledger_that_is_too_large_for_an_item_has_several_and_comes_back(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An item here is smaller: with its real size it takes some 100,000 holes at random, and seconds of arithmetic."""
    monkeypatch.setattr(ledger_items, "_MOST_BYTES", 1_000)
    holes = set(random.Random(1).sample(range(1, 40_000), 1_500))
    for numbers in (set(range(1, 40_001)) - holes, range(1, 40_001)):
        head = cloud.store.head("T1", ["s1"])
        ledger = head.ledgers["s1"].receive(Ranges.of_numbers(numbers), RECEIVED_MS)
        head = cloud.store.apply("T1", head, Change(ledgers={"s1": ledger}))
        after = ledger.receive(Ranges.of_numbers([40_000]), RECEIVED_MS)
        cloud.store.apply("T1", head, Change(ledgers={"s1": after}))  # planned with the head that apply gave
        pieces = len(cloud.items("trucks"))
        assert cloud.store.ledgers("T1") == cloud.store.head("T1", ["s1"]).ledgers == {"s1": after}
        assert [found for *_, found in cloud.store.incomplete()] == ([after] if after.holes else [])
        assert cloud.store.ledger_trucks() == ["T1"]
        assert (pieces > 4) == bool(after.holes)
        assert after.holes or pieces == 3, "the policy, that clicks are indexed, and the head with the ledger in it"


def test_a_sample_as_trucks_send_it_takes_a_third_of_a_write_unit(cloud: Cloud) -> None:
    cloud.on_topic("T1", sample())
    [item] = cloud.items("samples")
    assert items.size(item) < 450
    assert items.unpack(items.pack(b"")) == b""


def test_what_an_earlier_release_packed_is_read() -> None:
    packed = b"\x01\xab\xc6\x11AF!\x06\xc6V\x06&V\x06\xa6\xb0\x08\xc2\x0cL\x03s%lF\x02\x00"
    text = b'{"sampled_at":"2026-01-02T03:04:05.000Z","truck_id":"TRUCK-007","vehicle_speed":51}'
    assert items.unpack({"B": packed}) == items.unpack(items.pack(text)) == text


# Rebuild, verify, policy


def _versions(cloud: Cloud) -> list[tuple[str, Any]]:
    return [(row["effective_start_date"], row["sample"]["seq"]) for row in queries.history(cloud.store, "T1")]


@pytest.fixture
def filled(cloud: Cloud) -> Cloud:
    """Four versions, one of which is to outlive its sample."""
    for seq, (days, status) in enumerate([(30, "ok"), (20, "worn"), (10, "ok"), (9, "ok"), (1, "worn")], 1):
        cloud.on_topic("T1", put(_ago(days, seq=seq), BRAKES, status))
    assert cloud.faults() == []
    return cloud


@pytest.mark.parametrize("days", [0, 15])
def test_rebuild_makes_right_what_is_retained_and_leaves_the_rest(filled: Cloud, days: int) -> None:
    before = _versions(filled)
    filled.now += days * 86_400
    table = f"{filled.prefix}-truck_history"
    *_, old, worn = (each for each in filled.items("truck_history"))
    filled.client.delete_item(TableName=table, Key={name: worn[name] for name in ("truck_id", "order_key")})
    filled.client.put_item(TableName=table, Item={**old, "prev": {"B": b"of another"}})
    assert [fault["truck_id"] for fault in filled.faults()] == ["T1"]
    late = put(_ago(1.5, seq=6), BRAKES, "cold")
    assert statuses(filled.take(late)) == ["rejected"]
    [parked] = queries.dead_letters(filled.store)
    assert "milepost rebuild T1" in parked["reason"]
    assert rebuild(filled.store, filled.policy)["trucks"] == 1
    assert filled.faults() == []
    assert _versions(filled) == [*before[:-1], (timestamps.from_ms(RECEIVED_MS - int(1.5 * DAY)), 6), before[-1]]
    assert statuses(filled.on_topic("T1", late)) == ["duplicate"]
    assert filled.faults() == []


def test_a_version_with_another_receipt_than_its_sample_is_told_of_and_rebuilt(filled: Cloud) -> None:
    *_, worn = filled.items("truck_history")
    other = {**worn, "received_ms": {"N": "1"}}
    filled.client.put_item(TableName=f"{filled.prefix}-truck_history", Item=other)
    [fault] = filled.faults()
    assert "1 versions were received at another time" in fault["fault"]
    rebuild(filled.store, filled.policy)
    assert filled.faults() == []


def test_another_policy_is_refused_until_rebuild_and_touches_only_what_is_retained(filled: Cloud) -> None:
    every = TrackingPolicy.of("every-sample")
    with pytest.raises(Misconfigured, match="milepost rebuild"):
        vouch_for_policy(filled.store, every)
    filled.now += 15 * 86_400  # the first of the five has expired
    assert rebuild(filled.store, every) == {"trucks": 1, "versions": 4}
    assert verify(filled.store, every) == []
    assert [seq for _, seq in _versions(filled)] == [1, 2, 3, 4, 5]
    with pytest.raises(Retryable, match="policy"):
        filled.take(sample(seq=9))
    vouch_for_policy(filled.store, every)


def test_a_rebuild_that_died_leaves_a_store_that_takes_nothing(filled: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    every = TrackingPolicy.of("every-sample")

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(filled.store, "put_keys", die)
    with pytest.raises(KeyboardInterrupt):
        rebuild(filled.store, every)
    monkeypatch.undo()
    for policy in (filled.policy, every):
        with pytest.raises(Misconfigured):
            vouch_for_policy(filled.store, policy)
    rebuild(filled.store, every)
    vouch_for_policy(filled.store, every)


def test_counters_are_held_against_retained_events_only(cloud: Cloud) -> None:
    for days in (6, 1):
        cloud.take(
            click(event_id=f"e{days}", timestamp=timestamps.from_ms(RECEIVED_MS - days * DAY)),
            kind="click",
            source="http:clicks",
        )
    cloud.now += 9 * 86_400
    assert cloud.faults() == []
    for each in cloud.items("click_counts"):
        cloud.client.put_item(TableName=f"{cloud.prefix}-click_counts", Item={**each, "count": {"N": "7"}})
    assert [fault["truck_id"] for fault in cloud.faults()] == [None]
    rebuild(cloud.store, cloud.policy)
    assert cloud.faults() == []
    assert sorted(count for _, count in cloud.store.click_counts()) == [1, 7]


# The commands


def test_the_commands_work_on_it_as_on_a_file(cloud: Cloud, tmp_path: Any) -> None:
    """By AWS's own variables: the endpoint, the region and the credentials."""
    path = tmp_path / "records.jsonl"
    today = timestamps.from_ms(time.time_ns() // 1_000_000)
    records = [put(sample(seq=seq, sampled_at=today), BRAKES, str(seq)) for seq in (1, 2)]
    path.write_text("".join(dump(each) + "\n" for each in [*records, sample()]))
    setting = {**ministack.CREDENTIALS, "AWS_ENDPOINT_URL": ministack.shared()}
    setting["MILEPOST_STORE"] = f"dynamodb://{cloud.prefix}"
    for status, code in (("accepted", 1), ("duplicate", 1)):
        ran = run("ingest", path, **setting)
        assert (ran.code, json.loads(ran.out.splitlines()[-1])) == (code, {**NONE, status: 2, "rejected": 1})
    assert [row["sample"]["seq"] for row in run("history", "T1", "--json", **setting).json] == [1, 2]
    assert run("verify", **setting).code == 0
    assert run("rebuild", "--json", **setting).json == {"trucks": 1, "versions": 2}
    [letter] = run("dead-letters", "list", "--json", **setting).json
    assert letter["reason"].startswith("too_late")
    nowhere = {**setting, "MILEPOST_STORE": "dynamodb://nowhere"}
    missing = run("trucks", "--json", **nowhere)
    assert (missing.code, missing.json) == (0, [])
    assert run("ingest", path, **nowhere).code == 2
