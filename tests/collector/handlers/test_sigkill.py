"""Functions as processes on ministack, SIGKILLed anywhere, rivals on the same records: each record counts once."""

import json
import os
import random
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from collector.history import Point, TrackingPolicy, define
from collector.ingest.stream_puts import put_items
from collector.rebuild import verify
from collector.stores.dynamodb import DynamoDbStore, create_tables
from collector.streams.kinesis import KinesisStream
from contract import timestamps
from contract.ingest_items import Item
from contract.records import read_sample
from deploy.ministack import Ministack, environment
from tests.budget import budget
from tests.collector.handlers.conftest import message
from tests.collector.handlers.mapping import Record, delivered
from tests.local_aws import ministack
from tests.milepost_process import REPOSITORY

NOW_MS = time.time_ns() // 1_000_000 // 60_000 * 60_000
EVERY = TrackingPolicy.of("every-sample")


class Cloud:
    """Tables of a test's own in the session's ministack, and the functions that it starts on them."""

    def __init__(self, stack: Ministack, folder: Path, **settings: str) -> None:
        self.stack = stack
        self._folder = folder
        self._prefix = f"k{uuid.uuid4().hex[:8]}"
        create_tables(stack.client("dynamodb"), self._prefix)
        self.store = DynamoDbStore(self._prefix, stack.client("dynamodb"))
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MILEPOST_", "AWS_"))}
        mine = {"PYTHONPATH": str(REPOSITORY), "MILEPOST_STORE": f"dynamodb://{self._prefix}", **settings}
        self._environ = {**kept, **environment(stack.url), **mine}
        self._faults: list[BaseException] = []
        self.killed = 0

    def run(self, kind: str, shards: Sequence[Sequence[Record]], *, kills: int, seed: int) -> None:
        """Each of the shards by a function of its own, all at once, each killed so often."""
        threads = [
            threading.Thread(
                target=self._shard, args=(kind, records, kills, random.Random(f"{seed}-{number}")), daemon=True
            )
            for number, records in enumerate(shards)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._faults:
            raise self._faults[0]

    def _shard(self, kind: str, records: Sequence[Record], kills: int, chance: random.Random) -> None:
        try:
            file = self._folder / f"{uuid.uuid4().hex}.jsonl"
            file.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
            done = 0
            while done < len(records):
                mortal, kills = kills > 0, kills - 1
                done = self._life(kind, file, done, chance, mortal=mortal)
        except BaseException as fault:  # noqa: BLE001 - a thread's door
            self._faults.append(fault)

    def _life(self, kind: str, file: Path, done: int, chance: random.Random, *, mortal: bool) -> int:
        """Of one process, from where the last one was; how far it got."""
        batch = chance.choice([7, 30, 100])
        argv = [sys.executable, "-m", "tests.collector.handlers.function", kind, str(file), str(done), str(batch)]
        with (
            file.with_suffix(".log").open("ab") as log,
            subprocess.Popen(
                argv, env=self._environ, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log
            ) as process,
        ):
            assert process.stdout
            reached = [int(process.stdout.readline() or done)]
            if mortal:
                time.sleep(chance.random() * 0.5)
                self.killed += process.poll() is None
                process.kill()
            reached += [int(line) for line in process.stdout]
        assert process.returncode in (0, -9), file.with_suffix(".log").read_text()[-2_000:]
        return reached[-1]


@budget(100, 1_000)
def test_late_samples_under_every_sample(examples: int, tmp_path: Path) -> None:
    """Two functions have all of them, each in an order and in batches of its own, and each is killed now and then."""
    cloud = Cloud(ministack(), tmp_path, MILEPOST_TRACK="every-sample")
    samples = [
        {
            "truck_id": "T1",
            "stream_id": "s1",
            "seq": seq,
            "sampled_at": timestamps.from_ms(NOW_MS - (examples + 2 - seq) * 60_000),
            "vehicle_speed": seq % 7,
        }
        for seq in range(1, examples + 2)
    ]
    records = [message(sample, number) for number, sample in enumerate(samples)]
    cloud.run("telemetry", [records[-1:]], kills=0, seed=0)
    late = records[:-1]
    cloud.run(
        "telemetry", [random.Random(n).sample(late, examples) for n in range(2)], kills=2 + examples // 100, seed=1
    )
    assert cloud.killed
    read = [read_sample(sample, received_ms=NOW_MS, date_by_arrival=False) for sample in samples]
    expected = define(Point(each.order_key, EVERY.key(each.record, each.order_key)) for each in read)
    assert [version for version, _ in cloud.store.versions("T1")] == expected
    assert cloud.store.ledgers("T1")["s1"].received.as_lists() == [[1, examples + 1]]
    assert not cloud.store.ledgers("T1")["s1"].conflicts
    assert verify(cloud.store, EVERY) == []
    assert list(cloud.store.dead_letters()) == []
    print(f"\n{examples} late samples twice at once, {cloud.killed} SIGKILLs: {len(expected)} versions, as defined")


@budget(1, 25)
def test_shop_events_of_a_stream_that_is_split_and_merged(examples: int, tmp_path: Path) -> None:
    """Browsers send again what they are not sure of, under new sequence numbers, into whatever shards there are then;
    two functions have each shard, in batches of their own."""
    cloud = Cloud(ministack(), tmp_path)
    stream = Resharded(cloud.stack.client("kinesis"))
    chance = random.Random(9)
    events: list[dict[str, Any]] = [
        {
            "event_id": f"e{n}",
            "event_type": "click",
            "timestamp": timestamps.from_ms(NOW_MS - n * 500),
            "session_id": f"v{n % 40}",
            "item_id": f"item-{n % 5}",
            "click_count": chance.randrange(1, 5),
        }
        for n in range(300)
    ]
    stream.post(events[:150])
    stream.split()
    stream.post([*events[150:250], *chance.sample(events[:150], 75)])
    stream.merge()
    stream.post([*events[250:], *chance.sample(events[:250], 75)])
    shards = stream.shards()
    assert len(shards) >= 5
    assert sum(map(len, shards)) == 300 + 75 + 75
    for shard in shards:  # a shard's children come after it
        cloud.run("clicks", [shard, shard], kills=examples, seed=len(shard))
    stream.delete()
    assert cloud.killed
    expected: Counter[str | None] = Counter()
    for event in events:
        expected[event["item_id"]] += event["click_count"]
    counted: Counter[str | None] = Counter()
    for counter, count in cloud.store.click_counts():
        counted[counter.item_id] += count
    assert counted == expected
    assert len(list(cloud.store.clicks())) == len(events)
    assert verify(cloud.store, TrackingPolicy.of()) == []
    assert list(cloud.store.dead_letters()) == []
    print(f"\n{len(events)} events in {len(shards)} shards twice, {cloud.killed} SIGKILLs: each counted once")


class Resharded:
    """A Kinesis stream that begins with two shards."""

    def __init__(self, client: Any) -> None:
        self._client, self._name = client, f"shop-{uuid.uuid4().hex[:8]}"
        self._found: dict[str, dict[str, Record]] = defaultdict(dict)
        client.create_stream(StreamName=self._name, ShardCount=2)
        self._wait()

    def post(self, events: Sequence[dict[str, Any]]) -> None:
        """Through the beacon's door, a request an event."""
        stream = KinesisStream(self._client, self._name)
        for event in events:
            [receipt] = put_items(stream, [Item("click", "http:clicks", event, NOW_MS)])
            assert receipt.status == "accepted"
        self._read()  # ministack forgets a shard that is split

    def split(self) -> None:
        first = self._open()[0]
        low, high = (int(first["HashKeyRange"][name]) for name in ("StartingHashKey", "EndingHashKey"))
        self._client.split_shard(
            StreamName=self._name, ShardToSplit=first["ShardId"], NewStartingHashKey=str((low + high) // 2)
        )
        self._wait()

    def merge(self) -> None:
        """Two neighbours into one."""
        one, other = sorted(self._open(), key=lambda shard: int(shard["HashKeyRange"]["StartingHashKey"]))[:2]
        self._client.merge_shards(
            StreamName=self._name, ShardToMerge=one["ShardId"], AdjacentShardToMerge=other["ShardId"]
        )
        self._wait()

    def shards(self) -> list[list[Record]]:
        """Each shard's records as Lambda gets them; a shard after those that it was made of."""
        return [list(records.values()) for _, records in sorted(self._found.items())]

    def _read(self) -> None:
        for shard in self._shards():
            name = shard["ShardId"]
            iterator = self._client.get_shard_iterator(
                StreamName=self._name, ShardId=name, ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            while iterator and (page := self._client.get_records(ShardIterator=iterator))["Records"]:
                for each in page["Records"]:
                    number, key = each["SequenceNumber"], each["PartitionKey"]
                    self._found[name][number] = delivered(each["Data"], number, key=key, arrived_ms=NOW_MS, shard=name)
                iterator = page.get("NextShardIterator")

    def delete(self) -> None:
        self._client.delete_stream(StreamName=self._name)

    def _open(self) -> list[dict[str, Any]]:
        return [shard for shard in self._shards() if "EndingSequenceNumber" not in shard["SequenceNumberRange"]]

    def _shards(self) -> list[dict[str, Any]]:
        shards: list[dict[str, Any]] = self._client.list_shards(StreamName=self._name)["Shards"]
        return shards

    def _wait(self) -> None:
        self._client.get_waiter("stream_exists").wait(StreamName=self._name, WaiterConfig={"Delay": 1})
