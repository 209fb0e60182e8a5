"""A DynamoDB that throttles, conflicts, answers half or not at all: tried again, in bounds, then Retryable.

Faults are injected at the SDK's event hooks, before anything is sent, or after it was answered.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError, ReadTimeoutError

from collector import queries
from collector.ingest import Ingest
from collector.stores.dynamodb import DynamoDbStore
from collector.stores.dynamodb.click_counters import addition
from collector.stores.dynamodb.retries import Calls
from contract.errors import Misconfigured, Retryable
from contract.ingest_items import Item
from tests import ministack
from tests.collector.stores.cloud import Cloud
from tests.collector.stores_on_disk import statuses
from tests.contract.examples import RECEIVED_MS, click, put, sample

BRAKES = "vehicle_health_and_maintenance.brake_status"
THROTTLES = ["ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded"]


class Hooked:
    """A store over a client of its own, whose calls a test can fail; `waits` are what it slept."""

    def __init__(self, cloud: Cloud) -> None:
        self.client = ministack.client(ministack.shared())
        self.waits: list[float] = []
        self.prefix = cloud.prefix
        calls = Calls(self.client, sleep=self.waits.append, chance=lambda: 1.0)
        self.store = DynamoDbStore(cloud.prefix, calls=calls, clock=lambda: cloud.now)
        self._ingest = Ingest(self.store, cloud.policy)

    def fail(self, operation: str, times: int, answer: Callable[[], AWSResponse]) -> list[int]:
        """The first calls of an operation are answered so, without being sent; gives a list that grows with each."""
        made: list[int] = []

        def before_send(**_: Any) -> AWSResponse | None:
            made.append(1)
            return answer() if len(made) <= times else None

        self.client.meta.events.register(f"before-send.dynamodb.{operation}", before_send)
        return made

    def take(self, *records: Any, kind: Any = "telemetry") -> list[str]:
        return statuses(self._ingest.ingest([Item(kind, "http:x", record, RECEIVED_MS) for record in records]))


class _Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self._body


def _error(code: str, status: int = 400, **more: Any) -> Callable[[], AWSResponse]:
    said = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": code, **more}
    return lambda: AWSResponse("", status, {}, _Raw(json.dumps(said).encode()))


def _cancelled(*codes: str) -> Callable[[], AWSResponse]:
    return _error("TransactionCanceledException", CancellationReasons=[{"Code": code} for code in codes])


@pytest.fixture
def hooked(cloud: Cloud) -> Hooked:
    cloud.on_topic("T1", sample(seq=1))
    return Hooked(cloud)


@pytest.mark.parametrize("code", THROTTLES)
def test_a_throttled_put_is_tried_again_with_growing_waits(hooked: Hooked, code: str) -> None:
    calls = hooked.fail("PutItem", 3, _error(code))
    assert hooked.take(sample(seq=2)) == ["accepted"]
    assert len(calls) == 5  # three refused, the sample, the head
    assert hooked.waits == [0.05, 0.1, 0.2]


@pytest.mark.parametrize("operation", ["GetItem", "PutItem", "TransactWriteItems"])
def test_a_throttle_without_end_is_retryable_and_bounded(cloud: Cloud, hooked: Hooked, operation: str) -> None:
    calls = hooked.fail(operation, 1_000, _error("ThrottlingException"))
    with pytest.raises(Retryable):
        hooked.take(put(sample(seq=2), BRAKES, "worn"))
    assert len(calls) == 8
    assert max(hooked.waits) <= 2.0
    assert list(cloud.store.dead_letters()) == []
    assert statuses(cloud.on_topic("T1", put(sample(seq=2), BRAKES, "worn")))[0] != "rejected"
    assert cloud.faults() == []


@pytest.mark.parametrize("reason", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"])
def test_a_cancelled_transaction_is_tried_again(cloud: Cloud, hooked: Hooked, reason: str) -> None:
    calls = hooked.fail("TransactWriteItems", 2, _cancelled("None", reason, "None"))
    assert hooked.take(put(sample(seq=2, sampled_at="2024-06-01T11:59:30Z"), BRAKES, "worn")) == ["accepted"]
    assert (len(calls), len(hooked.waits)) == (3, 2)
    assert len(queries.history(cloud.store, "T1")) == 2


def test_a_condition_that_fails_is_planned_again_without_waiting(cloud: Cloud, hooked: Hooked) -> None:
    calls = hooked.fail("TransactWriteItems", 2, _cancelled("ConditionalCheckFailed", "None", "TransactionConflict"))
    assert hooked.take(put(sample(seq=2, sampled_at="2024-06-01T11:59:30Z"), BRAKES, "worn")) == ["accepted"]
    assert (len(calls), hooked.waits) == (3, [])


def test_a_lost_answer_is_no_second_count(cloud: Cloud, hooked: Hooked) -> None:
    """The transaction was carried out, and nobody heard of it: the same token makes its repetition harmless."""
    lost: list[int] = []

    def parsed(parsed: Any, **_: Any) -> None:
        if not lost:
            lost.append(1)
            raise ReadTimeoutError(endpoint_url="x")

    hooked.client.meta.events.register("after-call.dynamodb.TransactWriteItems", parsed)
    assert hooked.take(click(event_id="a", click_count=3), kind="click") == ["accepted"]
    assert lost
    assert [count for _, count in cloud.store.click_counts()] == [3]


@pytest.mark.parametrize("act", ["a letter comes again", "a recount"])
def test_an_addition_whose_answer_was_lost_and_that_was_then_throttled_is_made_once(hooked: Hooked, act: str) -> None:
    """The throttle says that this attempt did nothing; it says nothing of the one before."""
    hooked.take(click(event_id="a", click_count=3), kind="click")
    lost: list[int] = []

    def after_call(**_: Any) -> None:
        if not lost:
            lost.append(1)
            raise ReadTimeoutError(endpoint_url="x")

    def before_send(**_: Any) -> AWSResponse | None:
        if len(lost) == 1:
            lost.append(1)
            return _cancelled("ThrottlingError")()
        return None

    if act == "a recount":
        [(counter, _)] = hooked.store.click_counts()
        hooked.store._add(addition(f"{hooked.prefix}-click_counts", counter, (40, 0), shard=0))
    hooked.client.meta.events.register("after-call.dynamodb.TransactWriteItems", after_call)
    hooked.client.meta.events.register("before-send.dynamodb.TransactWriteItems", before_send)
    if act == "a recount":
        hooked.store.replace_click_counts()
    else:
        hooked.take(sample(seq="x"))
    assert len(lost) == 2
    assert [count for _, count in hooked.store.click_counts()] == [3]
    assert [letter.times for letter in hooked.store.dead_letters()] == ([] if act == "a recount" else [1])


def test_half_a_batch_is_asked_for_again(cloud: Cloud, hooked: Hooked) -> None:
    cloud.take(*(click(event_id=f"e{number}") for number in range(5)), kind="click")
    table = f"{cloud.prefix}-clicks"

    def later(parsed: Any, **_: Any) -> None:
        found = parsed["Responses"][table]
        if len(found) > 1:
            back = [{"event_id": each["event_id"]} for each in found[1:]]
            parsed["Responses"][table], parsed["UnprocessedKeys"] = found[:1], {table: {"Keys": back}}

    hooked.client.meta.events.register("after-call.dynamodb.BatchGetItem", later)
    assert hooked.store.has_clicks([f"e{number}" for number in range(9)]) == {f"e{number}" for number in range(5)}
    assert len(hooked.waits) == 4


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("AccessDeniedException", Retryable),
        ("ExpiredTokenException", Retryable),
        ("UnrecognizedClientException", Retryable),
        ("ResourceNotFoundException", Misconfigured),
    ],
)
def test_rights_and_tables_that_are_not_there_bury_no_record(
    cloud: Cloud, hooked: Hooked, code: str, expected: type[Exception]
) -> None:
    hooked.fail("PutItem", 100, _error(code))
    with pytest.raises(expected):
        hooked.take(sample(seq=2), sample(seq=3))
    assert list(cloud.store.dead_letters()) == []


def test_what_dynamodb_does_not_take_is_buried_alone(cloud: Cloud, hooked: Hooked) -> None:
    """A bug of ours, whatever it is, stops one record."""

    records = [sample(seq=seq, truck_id="POISON" if seq == 3 else "T1") for seq in range(2, 6)]

    def poisoned(request: Any, **_: Any) -> AWSResponse | None:
        return _error("ValidationException")() if b"POISON" in request.body else None

    hooked.client.meta.events.register("before-send.dynamodb.PutItem", poisoned)
    assert [status != "rejected" for status in hooked.take(*records)] == [True, False, True, True]
    [letter] = cloud.store.dead_letters()
    assert b"POISON" in letter.payload
    assert [each.seq for each in cloud.store.samples("T1")] == [1, 2, 4, 5]


def test_an_unknown_fault_of_the_sdk_is_raised_as_it_is() -> None:
    class Broken:
        def get_item(self, **_: Any) -> None:
            raise ClientError({"Error": {"Code": "SerializationException"}}, "GetItem")

    with pytest.raises(ClientError):
        Calls(Broken())("get_item")
