"""The telemetry function on DynamoDB with faults at the SDK's own event hooks: throttles, and deaths after any call."""

import io
import json
import os
import random
import uuid
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse

from collector.handlers import telemetry
from collector.history import Policy
from collector.rebuild import verify
from collector.stores import open_store
from collector.stores.dynamodb import create_tables
from deploy.local import environment
from tests.collector.handlers.conftest import fresh, message, minutes
from tests.collector.handlers.mapping import Killed, Mapping
from tests.local_aws import ministack


class Faults:
    """On every client that is built after it. throttle: the share of requests refused; die_after: calls until death."""

    def __init__(self, chance: random.Random) -> None:
        self.throttle, self.die_after, self.refused, self.deaths = 0.0, -1, 0, 0
        self._chance = chance
        events = boto3.DEFAULT_SESSION.events
        events.register("before-send.dynamodb.*", self._refuse)
        events.register("after-call.dynamodb.*", self._die)

    def _refuse(self, request: Any, **_: Any) -> AWSResponse | None:
        if self._chance.random() >= self.throttle:
            return None
        self.refused += 1
        body = {"__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException", "message": "slow"}
        raw = _Raw(json.dumps(body).encode())
        return AWSResponse(request.url, 400, {"content-type": "application/x-amz-json-1.0"}, raw)

    def _die(self, **_: Any) -> None:
        self.die_after -= 1
        if self.die_after == 0:
            self.deaths += 1
            raise Killed


class _Raw(io.BytesIO):
    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Faults]:
    stack, prefix = ministack(), f"f{uuid.uuid4().hex[:8]}"
    for name, value in environment(stack.url).items():
        monkeypatch.setenv(name, value)
    create_tables(stack.client("dynamodb"), prefix)
    monkeypatch.setenv("MILEPOST_STORE", f"dynamodb://{prefix}")
    boto3.setup_default_session()
    fresh()
    yield Faults(random.Random(request.node.callspec.params["seed"]))
    boto3.setup_default_session()
    fresh()


@pytest.mark.parametrize("seed", [1, 2, 3, *(pytest.param(n, marks=pytest.mark.prove) for n in range(4, 60))])
def test_throttled_and_killed_anywhere_it_makes_the_one_history(faults: Faults, context: Any, seed: int) -> None:
    """Requests refused as DynamoDB does, the process gone after any of its calls: every sample ends in history once."""
    chance = random.Random(seed)
    samples = minutes("T1", range(1, 61))
    chance.shuffle(samples)
    records = [message(one, number) for number, one in enumerate(samples)]

    def lambda_function(event: dict[str, Any]) -> Any:
        faults.throttle = chance.choice([0.0, 0.0, 0.2])
        faults.die_after = chance.choice([-1, chance.randrange(1, 40)]) if faults.deaths else chance.randrange(1, 15)
        try:
            return telemetry.handler(event, context)
        except Killed:
            fresh()
            raise
        finally:
            faults.throttle, faults.die_after = 0.0, -1

    mapping = Mapping(lambda_function, batch_size=20, retries=50)
    mapping.run(records)
    assert mapping.discarded == []
    assert faults.deaths > 0
    store = open_store(os.environ["MILEPOST_STORE"])
    assert [ledger.received.as_lists() for ledger in store.ledgers("T1").values()] == [[[1, 60]]]
    assert store.sample_counts("T1") == (60, 60)
    assert verify(store, Policy.of()) == []
    assert list(store.dead_letters()) == []
