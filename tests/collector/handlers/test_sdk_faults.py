"""The stream functions on DynamoDB with faults where the store speaks to it: throttles, and deaths after any call."""

import base64
import json
import os
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from collector.handlers import clicks, telemetry
from collector.history import TrackingPolicy
from collector.rebuild import verify
from collector.stores.dynamodb import create_tables
from collector.stores.dynamodb.lean_client import LeanClient
from collector.stores.factory import open_store
from contract import timestamps
from contract.codec import dump
from deploy.ministack import environment
from tests.collector.handlers.conftest import fresh, message, minutes
from tests.collector.handlers.mapping import SHARD, Killed, Mapping, Record, envelope, number_of
from tests.local_aws import ministack


class Faults:
    """On the store's every exchange with DynamoDB.

    throttle: the share of requests refused. die_after: calls until death.
    """

    def __init__(self, chance: random.Random, exchange: Callable[..., Any]) -> None:
        self.throttle, self.die_after, self.refused, self.deaths = 0.0, -1, 0, 0
        self._chance, self._exchange = chance, exchange

    def exchange(self, client: LeanClient, head: bytes, body: bytes) -> tuple[int, bytes, str | None]:
        """In place of LeanClient's own."""
        if self._chance.random() < self.throttle:
            self.refused += 1
            code = "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"
            return 400, json.dumps({"__type": code, "message": "slow"}).encode(), None
        answer: tuple[int, bytes, str | None] = self._exchange(client, head, body)
        self.die_after -= 1
        if self.die_after == 0:
            self.deaths += 1
            raise Killed
        return answer


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Faults]:
    stack, prefix = ministack(), f"f{uuid.uuid4().hex[:8]}"
    for name, value in environment(stack.url).items():
        monkeypatch.setenv(name, value)
    create_tables(stack.client("dynamodb"), prefix)
    monkeypatch.setenv("MILEPOST_STORE", f"dynamodb://{prefix}")
    fresh()
    made = Faults(random.Random(request.node.callspec.params["seed"]), LeanClient._exchange)
    monkeypatch.setattr(LeanClient, "_exchange", lambda *given: made.exchange(*given))
    yield made
    fresh()


SEEDS = pytest.mark.parametrize("seed", [1, 2, 3, *(pytest.param(n, marks=pytest.mark.prove) for n in range(4, 60))])


def faulty(handler: Any, faults: Faults, context: Any, chance: random.Random) -> Callable[[dict[str, Any]], Any]:
    """The function as Lambda runs it where a table is throttled and the process may die after any of its calls."""

    def lambda_function(event: dict[str, Any]) -> Any:
        faults.throttle = chance.choice([0.0, 0.0, 0.2])
        faults.die_after = chance.choice([-1, chance.randrange(1, 40)]) if faults.deaths else chance.randrange(1, 8)
        try:
            return handler(event, context)
        except Killed:
            fresh()
            raise
        finally:
            faults.throttle, faults.die_after = 0.0, -1

    return lambda_function


@SEEDS
def test_throttled_and_killed_anywhere_it_makes_the_one_history(faults: Faults, context: Any, seed: int) -> None:
    """Requests refused as DynamoDB does, the process gone after any call, poison in the middle: every good sample
    ends in history once, every bad one in dead letters with its shard and sequence number."""
    chance = random.Random(seed)
    samples = minutes("T1", range(1, 61))
    chance.shuffle(samples)
    records = [message(one, number) for number, one in enumerate(samples)]
    bad = [
        message(b"\xff\x00 no JSON", 100),
        message({**samples[0], "seq": 100, "odometer_reading": "far"}, 101),
        message({**samples[0], "truck_id": "T7"}, 102),
        message(b"[" + chance.randbytes(390_000).hex().encode(), 103),  # near a megabyte in the stream
    ]
    for each in bad:
        records.insert(chance.randrange(1, len(records)), each)

    mapping = Mapping(faulty(telemetry.handler, faults, context, chance), batch_size=20, retries=50)
    mapping.run(records)
    assert mapping.discarded == []
    assert faults.deaths > 0
    store = open_store(os.environ["MILEPOST_STORE"])
    assert [ledger.received.as_lists() for ledger in store.ledgers("T1").values()] == [[[1, 60]]]
    assert store.sample_counts("T1") == (60, 60)
    assert verify(store, TrackingPolicy.of()) == []
    origins = {each.reason.rsplit(" [", 1)[1] for each in store.dead_letters()}
    assert origins == {f"{SHARD}:{number_of(each)}]" for each in bad}
    assert {each.payload for each in store.dead_letters()} == {_sent(each) for each in bad}


def _sent(record: Record) -> bytes:
    """What the truck had sent."""
    return base64.b64decode(json.loads(base64.b64decode(record["kinesis"]["data"]))["data"])


@SEEDS
def test_throttled_and_killed_anywhere_each_event_is_counted_once(faults: Faults, context: Any, seed: int) -> None:
    """Events that browsers send again, under new sequence numbers, also in the shards that others were split into."""
    chance = random.Random(seed)
    now = time.time_ns() // 1_000_000
    events = [
        {
            "event_id": f"e{n}",
            "event_type": "click",
            "timestamp": timestamps.from_ms(now - n * 1000),
            "item_id": f"item-{n % 3}",
            "click_count": chance.randrange(1, 5),
        }
        for n in range(60)
    ]
    sent = [*events, *chance.choices(events, k=60)]
    chance.shuffle(sent)
    records = [
        envelope(
            dump(event).encode(), n, key=str(event["event_id"]), arrived_ms=now, shard=f"shardId-00000000000{n % 3}"
        )
        for n, event in enumerate(sent)
    ]
    for shard in range(3):
        one = Mapping(faulty(clicks.handler, faults, context, chance), batch_size=chance.choice([1, 7, 40]), retries=50)
        one.run(records[shard::3])
        assert one.discarded == []
    assert faults.deaths > 0
    store = open_store(os.environ["MILEPOST_STORE"])
    counted: Counter[str | None] = Counter()
    for counter, count in store.click_counts():
        counted[counter.item_id] += count
    expected: Counter[str | None] = Counter()
    for event in events:
        expected[str(event["item_id"])] += int(str(event["click_count"]))
    assert counted == expected
    assert len(list(store.clicks())) == len(events)
    assert list(store.dead_letters()) == []
