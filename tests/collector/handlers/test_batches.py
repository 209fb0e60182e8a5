"""Kinesis batches through the telemetry handler: every good sample once in history, every bad one in dead letters."""

import gzip
import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from typer.testing import CliRunner

from collector import queries
from collector.cli import app as cli
from collector.handlers import bootstrap, telemetry
from collector.handlers.batch import process
from collector.rebuild import verify
from collector.stores import Store
from collector.stores.factory import open_store
from contract.codec import dump
from contract.errors import Rejected, Retryable
from tests.collector.handlers.conftest import RECEIVED_MS, fresh, message, minutes
from tests.collector.handlers.mapping import SHARD, Killed, Mapping, Record, envelope, number_of
from tests.collector.streams.test_packing import aggregate

Invoke = Callable[[dict[str, Any]], Any]


@pytest.fixture
def invoke(store_url: str, context: Any) -> Invoke:
    return lambda event: telemetry.handler(event, context)


def history(url: str, truck_id: str) -> list[dict[str, Any]]:
    store = open_store(url)
    rows = queries.history(store, truck_id)
    store.close()
    return [{name: value for name, value in row.items() if name != "load_timestamp"} for row in rows]


def received(url: str, truck_id: str) -> list[list[int]]:
    store = open_store(url)
    found = [ledger.received.as_lists() for ledger in store.ledgers(truck_id).values()]
    store.close()
    return found[0] if found else []


def letters(url: str) -> list[dict[str, Any]]:
    store = open_store(url)
    rows = queries.dead_letters(store)
    store.close()
    return rows


def batch(trucks: int = 3, each: int = 30) -> list[Record]:
    """Records of several trucks, as they come interleaved in one shard."""
    made = [one for seq in range(1, each + 1) for t in range(trucks) for one in minutes(f"T{t}", [seq])]
    return [message(one, number, one["truck_id"]) for number, one in enumerate(made)]


@contextmanager
def failing(store: Store, name: str, fault: Callable[[Any], BaseException | None]) -> Iterator[None]:
    """The store's method raises what `fault` says of its first argument."""
    honest = getattr(store, name)

    def faulty(*args: Any, **options: Any) -> Any:
        if error := fault(args[0] if args else None):
            raise error
        return honest(*args, **options)

    setattr(store, name, faulty)
    try:
        yield
    finally:
        setattr(store, name, honest)


def test_a_batch_is_taken_and_nothing_is_reported(invoke: Invoke, store_url: str) -> None:
    """Samples, batches and reports of the rules' envelopes end where the box puts them."""
    records = batch()
    records.append(message({"records": minutes("T9", range(1, 5))}, 900, "T9"))
    records.append(message({"stream_id": "s-T9", "highest_seq": 6}, 901, "T9", kind="report"))
    assert invoke({"Records": records}) == {"batchItemFailures": []}
    assert [received(store_url, f"T{t}") for t in (0, 1, 2, 9)] == [[[1, 30]]] * 3 + [[[1, 4]]]
    store = open_store(store_url)
    assert verify(store, telemetry_policy()) == []
    assert [str(hole) for hole in store.ledgers("T9")["s-T9"].missing()] == ["(5, 6)"]
    store.close()


def telemetry_policy() -> Any:
    from collector.history import TrackingPolicy

    return TrackingPolicy.of()


def test_a_poison_record_in_the_middle_is_dead_lettered_at_once(invoke: Invoke, store_url: str) -> None:
    """With reason, shard and sequence number; it is neither reported nor does it hold anything up."""
    records = batch(1, 20)
    bad = minutes("T0", [100])[0]
    bad["engine_diagnostics"]["fuel_level"] = 130
    poison = [
        message(bad, 500, "T0"),
        message(b"\xff\x00 no JSON", 501, "T0"),
        message({**minutes("T7", [1])[0]}, 502, "T0"),
    ]
    broken = message({}, 503, "T0")
    broken["kinesis"]["data"] = "e25vdCBhbiBlbnZlbG9wZQ=="
    assert invoke({"Records": [*records[:10], *poison, broken, *records[10:]]}) == {"batchItemFailures": []}
    assert received(store_url, "T0") == [[1, 20]]
    found = {(row["field"], row["reason"].rsplit(" [", 1)[1]) for row in letters(store_url)}
    assert found == {
        (field, f"{SHARD}:{number_of(record)}]")
        for field, record in zip(
            ("engine_diagnostics.fuel_level", None, "truck_id", None), [*poison, broken], strict=True
        )
    }


def test_a_megabyte_of_nonsense_is_one_dead_letter(invoke: Invoke, store_url: str) -> None:
    """Kinesis takes records of up to 1 MiB."""
    assert invoke({"Records": [message(b"[" * 780_000, 1), message(minutes("T1", [1])[0], 2)]}) == {
        "batchItemFailures": []
    }
    assert [len(row["payload"]) for row in letters(store_url)] == [780_000]
    assert received(store_url, "T1") == [[1, 1]]


def test_dead_letters_can_be_retried_after_the_fix(
    invoke: Invoke, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a bug of ours refused goes the same way as all else once it is mended."""
    from collector.ingest import validation

    honest = validation.read_sample

    def buggy(record: Any, **options: Any) -> Any:
        if record["seq"] == 3:
            raise Rejected("seq", "a bug does not like 3")
        return honest(record, **options)

    with monkeypatch.context() as broken:
        broken.setattr(validation, "read_sample", buggy)
        invoke({"Records": batch(1, 5)})
    assert received(store_url, "T0") == [[1, 2], [4, 5]]
    result = CliRunner().invoke(cli, ["dead-letters", "retry", "--json"])
    assert json.loads(result.stdout) == {"accepted": 1, "duplicate": 0, "rejected": 0}
    assert received(store_url, "T0") == [[1, 5]]
    assert letters(store_url) == []


def test_a_truck_that_cannot_be_written_now_holds_up_only_itself(store_url: str) -> None:
    """Its records are reported from the first on; the others' are in the store, whatever Lambda delivers again."""
    records = batch()
    store, ingest = bootstrap.store(), bootstrap.ingest()
    with failing(store, "put_samples", lambda truck: Retryable("throttled") if truck == "T1" else None):
        outcome = process(records, kind="telemetry", store=store, ingest=ingest)
    own = [number_of(record) for record in records if record["kinesis"]["partitionKey"] == "T1"]
    assert outcome.failed == own
    assert [received(store_url, f"T{t}") for t in range(3)] == [[[1, 30]], [], [[1, 30]]]
    again = process(records, kind="telemetry", store=store, ingest=ingest)
    assert again.failed == []
    assert again.counts == {"accepted": 30, "duplicate": 60, "rejected": 0, "failed": 0}
    assert received(store_url, "T1") == [[1, 30]]


def test_no_time_left_reports_what_was_not_tried(store_url: str) -> None:
    """A function that would be killed half-way says so itself, and what it had done stays done."""
    records = batch()
    store, ingest = bootstrap.store(), bootstrap.ingest()
    clock = iter([60.0, 60.0, 4.0, 4.0])
    first = iter([True])
    with failing(store, "put_samples", lambda _: Retryable("throttled") if next(first, False) else None):
        outcome = process(records, kind="telemetry", store=store, ingest=ingest, left=lambda: next(clock))
    assert outcome.failed == [number_of(record) for record in records if record["kinesis"]["partitionKey"] != "T0"]


@pytest.mark.parametrize("seed", range(12))
def test_replay_with_faults_anywhere_makes_the_one_history(store_url: str, context: Any, seed: int) -> None:
    """Any batch size, throttles and deaths at random store calls, bisected and delivered again: nothing is lost,
    nothing counted twice, nothing discarded."""
    chance = random.Random(seed)
    records = batch(2, 40)
    for at in sorted(chance.sample(range(len(records)), 20)):
        records.insert(at, chance.choice(records))  # the same record twice in the stream
    calls = ("put_samples", "apply", "head", "put_dead_letters")

    def lambda_function(event: dict[str, Any]) -> Any:
        store = bootstrap.store()
        fuse = chance.choice([None, None, chance.randrange(1, 6)])
        name, death = chance.choice(calls), chance.random() < 0.5
        count = iter(range(1, 1000))
        fault = Killed("out of memory") if death else Retryable("throttled")
        try:
            with failing(store, name, lambda _: fault if next(count) == fuse else None):
                return telemetry.handler(event, context)
        except Killed:
            fresh()
            raise

    mapping = Mapping(lambda_function, batch_size=chance.choice([1, 7, 30, 100]), retries=50)
    mapping.run(records)
    assert mapping.discarded == []
    assert [received(store_url, f"T{t}") for t in range(2)] == [[[1, 40]]] * 2
    store = open_store(store_url)
    assert verify(store, telemetry_policy()) == []
    assert [store.sample_counts(f"T{t}") for t in range(2)] == [(40, 40)] * 2
    assert list(store.dead_letters()) == []
    store.close()
    assert history(store_url, "T0") == history_of(["T0"])


def history_of(trucks: list[str]) -> list[dict[str, Any]]:
    """The history that the samples make, by the definition."""
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from tests.collector.stores_on_disk import Collector

    with TemporaryDirectory() as folder:
        collector = Collector(Path(folder) / "milepost.db")
        for truck in trucks:
            collector.on_topic(truck, *minutes(truck, range(1, 41)), received_ms=RECEIVED_MS)
        rows = collector.history(trucks[0])
        collector.close()
    return rows


def test_the_handler_writes_its_metrics(invoke: Invoke, capsys: pytest.CaptureFixture[str]) -> None:
    """EMF: what became of the batch, and how old it was."""
    invoke({"Records": [*batch(1, 3), message(b"no", 9)]})
    emf = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    counts = next(each for each in emf if "Accepted" in each)
    assert (counts["Accepted"], counts["Rejected"], counts["Failed"]) == ([3.0], [1.0], [0.0])
    assert counts["service"] == "milepost-telemetry"
    assert counts["OldestAge"][0] > 0


@pytest.mark.parametrize("store_url", ["dynamodb"], indirect=True)
def test_a_refused_record_that_is_delivered_again_came_once(store_url: str, invoke: Invoke) -> None:
    """Lambda delivers everything from a failure on again, also what stood beside it and was settled."""
    refused = message(b"{half", 1)
    for _ in range(2):
        invoke({"Records": [refused]})
    invoke({"Records": [message(b"{half", number) for number in range(2, 60)]})  # a producer that repeats itself
    invoke({"Records": [message(b"{half", 59)]})
    store = open_store(store_url)
    assert [letter.times for letter in store.dead_letters()] == [59]
    store.close()


def test_an_aggregate_of_the_producer_library_is_its_records_and_one_broken_costs_itself(
    store_url: str, invoke: Invoke
) -> None:
    whole = [dump(each).encode() for each in minutes("T1", [1, 2, 3])]
    parts = (whole[0], b"{half", gzip.compress(whole[1]), b"\x1f\x8bx", whole[2])
    packed = envelope(gzip.compress(aggregate(*parts)), 7, key="T1", arrived_ms=RECEIVED_MS)
    assert invoke({"Records": [packed]}) == {"batchItemFailures": []}
    assert received(store_url, "T1") == [[1, 3]]
    found = {letter["payload"] if isinstance(letter["payload"], str) else "": letter for letter in letters(store_url)}
    assert set(found) == {"{half", ""}
    assert all(f"{SHARD}:" in letter["reason"] for letter in found.values())


def test_an_invocation_that_runs_out_of_time_reports_the_rest_and_the_next_one_ends_it(store_url: str) -> None:
    """Instead of timing out, which would cost a try of the whole batch."""
    records = batch(trucks=8, each=100)
    ended = [0]

    def left() -> float:
        ended[0] += 1
        return 60.0 if ended[0] < 3 else 1.0

    outcome = process(records, kind="telemetry", store=bootstrap.store(), ingest=bootstrap.ingest(), left=left)
    done = {f"T{truck}" for truck in range(8) if received(store_url, f"T{truck}")}
    assert 0 < len(done) < 8
    assert outcome.failed == [number_of(each) for each in records if each["kinesis"]["partitionKey"] not in done]
    outcome = process(records, kind="telemetry", store=bootstrap.store(), ingest=bootstrap.ingest())
    assert outcome.failed == []
    assert [received(store_url, f"T{truck}") for truck in range(8)] == [[[1, 100]]] * 8
