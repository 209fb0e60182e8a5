"""KinesisStream against ministack's Kinesis, with refusals and faults injected at the SDK's event hooks."""

import random
from collections import defaultdict
from typing import Any

import pytest

from collector.streams import Record
from collector.streams.kinesis import ATTEMPTS, MAX_RECORD, MAX_REQUEST, KinesisStream, size_of
from contract.errors import Retryable, Unreachable
from tests.collector.streams.conftest import Kinesis, Throttled


def record(key: str, number: int, size: int = 0) -> Record:
    return Record(key, f"{key}:{number:05d}".encode().ljust(size, b"."))


def numbers(kinesis: Kinesis) -> dict[str, list[int]]:
    """key → the numbers read, in order."""
    found = defaultdict(list)
    for key, data in kinesis.read():
        found[key].append(int(data.split(b":")[1][:5]))
    return found


def test_every_record_is_in_the_stream_under_its_key_in_order(kinesis: Kinesis) -> None:
    """1,200 records of three trucks are three requests."""
    throttled = Throttled(kinesis.client, [])
    put = [record(f"T{i % 3}", i) for i in range(1200)]
    assert kinesis.stream.put(put) == [None] * 1200
    assert [len(call) for call in throttled.calls] == [500, 500, 200]
    assert numbers(kinesis) == {f"T{k}": list(range(k, 1200, 3)) for k in range(3)}


def test_what_kinesis_refuses_is_put_again_before_anything_later(kinesis: Kinesis) -> None:
    """A request goes only when all of the one before it is taken, the refused in their order."""
    throttled = Throttled(kinesis.client, [[0, 1, 498], [0, 2], [0]])
    put = [record("T1", i) for i in range(600)]
    assert kinesis.stream.put(put) == [None] * 600
    retried = [[int(data.split(":")[1]) for data in call] for call in throttled.calls[1:4]]
    assert retried[:3] == [[0, 1, 498], [0, 498], [0]]
    assert numbers(kinesis)["T1"][:600].index(599) == 599
    assert sorted(numbers(kinesis)["T1"]) == list(range(600))


def test_random_refusals_lose_and_repeat_nothing(kinesis: Kinesis) -> None:
    """Any pattern of refusals, as long as it ends, leaves each record in the stream once."""
    chance = random.Random(4)
    Throttled(kinesis.client, [chance.sample(range(40), chance.randrange(40)) for _ in range(5)])
    put = [record(f"T{i % 5}", i) for i in range(40)]
    assert kinesis.stream.put(put) == [None] * 40
    assert sorted(number for found in numbers(kinesis).values() for number in found) == list(range(40))


def test_refusals_that_do_not_end_are_retryable_and_backed_off(kinesis: Kinesis) -> None:
    """It gives up after ATTEMPTS, with waits that are bounded and random."""
    throttled = Throttled(kinesis.client, [[0]] * 100)
    with pytest.raises(Retryable, match=r"1 of 2 records taken, then Provisioned.*send all again later"):
        kinesis.stream.put([record("T1", 1), record("T1", 2)])
    assert len(throttled.calls) == ATTEMPTS
    assert len(kinesis.waits) == ATTEMPTS - 1
    assert all(wait <= 2 for wait in kinesis.waits)


def test_it_stops_at_its_deadline(kinesis: Kinesis) -> None:
    """A door that must answer soon does not wait for the last attempt."""
    Throttled(kinesis.client, [[0]] * 100)
    stream = KinesisStream(kinesis.client, kinesis.name, deadline=0)
    with pytest.raises(Retryable):
        stream.put([record("T1", 1)])


def test_an_oversize_record_is_refused_with_a_reason_and_the_others_go(kinesis: Kinesis) -> None:
    """1 MiB with its key is taken, one byte more is not; a key has 1 to 256 characters."""
    edge = Record("T1", b"x" * (MAX_RECORD - 2))
    over = Record("T1", b"x" * (MAX_RECORD - 1))
    refused = kinesis.stream.put([edge, over, Record("", b"x"), Record("k" * 257, b"x"), record("T1", 1)])
    assert [None if fault is None else fault.reason for fault in refused] == [
        None,
        "1048577 bytes in one stream record: 1048576 at most, send less in one message",
        "a stream key has 1 to 256 characters, not 0",
        "a stream key has 1 to 256 characters, not 257",
        None,
    ]
    assert len(kinesis.read()) == 2


def test_no_request_is_over_five_megabytes(kinesis: Kinesis) -> None:
    """Large records make more requests."""
    throttled = Throttled(kinesis.client, [])
    kinesis.stream.put([record("T1", i, 900_000) for i in range(12)])
    assert [len(call) for call in throttled.calls] == [5, 5, 2]
    assert all(sum(map(len, call)) <= MAX_REQUEST for call in throttled.calls)


def test_a_stream_that_is_not_there_cannot_be_reached(kinesis: Kinesis) -> None:
    """No retry helps; the message says what does."""
    with pytest.raises(Unreachable, match="deploy the stream, or grant"):
        KinesisStream(kinesis.client, "nowhere").put([record("T1", 1)])


def test_a_fault_of_the_service_is_tried_again(kinesis: Kinesis) -> None:
    """Whole requests may fail, too."""
    answers = iter(["InternalFailure", None])

    def fail(parsed: dict[str, Any], http_response: Any, **_: Any) -> None:
        code = next(answers, None)
        if code:
            http_response.status_code = 500
            parsed["Error"] = {"Code": code, "Message": "injected"}

    kinesis.client.meta.events.register("after-call.kinesis.PutRecords", fail)
    assert kinesis.stream.put([record("T1", 1)]) == [None]
    assert size_of(record("T1", 1)) == 10
