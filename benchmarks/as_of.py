"""An as-of read with a year of history, beside one with a day of it. Aims: the same read units, ≤ 1.2 × the time.

`history TRUCK --at` at any time of a history of a sample a minute and a version every five. SQLite: the time from
opening the store to its closing, as every command does it, the median of many; and that of the query alone on a store
that stays open, which is printed and not judged. DynamoDB: what the query costs, by ReturnConsumedCapacity on
ministack; how long that takes is ministack's own affair and no figure.
"""

import json
import random
import statistics
import sys
import tempfile
import time

from collector import queries
from collector.history import Point, Run, TrackingPolicy, plan
from collector.rows import StoredSample
from collector.stores import Change, Reader
from collector.stores.factory import open_reader, open_store
from contract import timestamps
from tests import ministack
from tests.collector.stores.cloud import Cloud
from tests.contract.examples import RECEIVED_MS, sample

AIM = 1.2
TRUCK = "TRUCK-00001"
DAY_MS, MINUTE_MS = 86_400_000, 60_000
NOW_MS = timestamps.to_ms("2026-06-01T00:00:00.000Z")
READS, ROUNDS = 400, 7
PER_DAY = 288


def stored(at_ms: int, seq: int) -> StoredSample:
    """A sample whose tracked key changes every five minutes."""
    at = timestamps.from_ms(at_ms)
    record = {**sample(truck_id=TRUCK, seq=seq, sampled_at=at), "stream_id": "0123456789abcdef"}
    place = f"{at}#0123456789abcdef#{seq:019d}#{seq:064x}"
    return StoredSample(
        place, f"[{(seq - 1) // 5}]", "0123456789abcdef", seq, f"{seq:064x}", at_ms, False, json.dumps(record)
    )


def filled(url: str, days: int) -> int:
    """That many days until NOW, and how many versions they make."""
    store = open_store(url)
    head, seq = store.head(TRUCK), 0
    for day in range(days, 0, -1):
        samples = []
        for minute in range(DAY_MS // MINUTE_MS):
            seq += 1
            samples.append(stored(NOW_MS - day * DAY_MS + minute * MINUTE_MS, seq))
        points = tuple(Point(each.order_key, each.key) for each in samples)
        with store.unit():
            store.put_samples(TRUCK, samples)
            head = store.apply(TRUCK, head, Change(plan([Run(head.current, points, (), None)]), points[-1].order_key))
    versions = store.version_count(TRUCK)
    store.close()
    return versions


def seconds(url: str, days: int, chance: random.Random) -> tuple[float, float]:
    """The medians of reads at random times: with opening and closing, and after them without, since what an opening
    leaves in the processor's caches would slow down the next read."""
    whole, alone = [], []
    for _ in range(READS):
        at = timestamps.from_ms(NOW_MS - 1 - chance.randrange(days * DAY_MS))
        before = time.perf_counter()
        reader = opened(url)
        [row] = queries.history(reader, TRUCK, at)
        reader.close()
        whole.append(time.perf_counter() - before)
        assert row["effective_start_date"] <= at
    held = opened(url)
    for _ in range(READS):
        at = timestamps.from_ms(NOW_MS - 1 - chance.randrange(days * DAY_MS))
        before = time.perf_counter()
        queries.history(held, TRUCK, at)
        alone.append(time.perf_counter() - before)
    held.close()
    return statistics.median(whole), statistics.median(alone)


def opened(url: str) -> Reader:
    reader = open_reader(url)
    assert reader
    return reader


def on_sqlite() -> bool:
    """Is the aim met. Day and year take turns, so that what else the machine does falls on both."""
    chance = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        day, year = (f"sqlite:///{folder}/{days}.db" for days in (1, 365))
        versions = filled(day, 1), filled(year, 365)
        pairs = [(seconds(day, 1, chance), seconds(year, 365, chance)) for _ in range(ROUNDS)][1:]
    for index, what in enumerate(("opened, read and closed", "on an open store")):
        with_day, with_year = (min(pair[side][index] for pair in pairs) for side in (0, 1))
        print(
            f"SQLite, {what}: {with_day * 1e6:.0f} µs with a day ({versions[0]:,} versions), {with_year * 1e6:.0f} µs"
            f" with a year ({versions[1]:,}): {with_year / with_day:.2f} x"
        )
    return min(year[0] for _, year in pairs) <= AIM * min(day[0] for day, _ in pairs)


def on_dynamodb() -> bool:
    """Do both cost the same."""
    found = []
    for days in (1, 365):
        # boto3, which waits longer than the store's own client: ministack takes seconds for a query of a year.
        cloud = Cloud(TrackingPolicy.of(), ministack.client(ministack.shared()))
        cloud.on_topic(TRUCK, sample(truck_id=TRUCK))
        count = days * PER_DAY
        cloud.grow(TRUCK, RECEIVED_MS - (days + 1) * DAY_MS, count, DAY_MS // PER_DAY)
        chance = random.Random(1)
        for _ in range(READS // 20):
            # Before the last grown version: the truck's own first, which is next, does not name it as the one before.
            at = timestamps.from_ms(RECEIVED_MS - DAY_MS - 600_000 - chance.randrange(days * DAY_MS - DAY_MS // 2))
            assert len(queries.history(cloud.store, TRUCK, at)) == 1
        _, units = cloud.client.take()
        found.append(units / (READS // 20))
        print(f"DynamoDB: {found[-1]:.2f} read units an as-of read with {count + 1:,} versions")
        cloud.close()
    return found[0] == found[1]


def main() -> int:
    """Print the figures; 1 if an aim is missed."""
    met = [on_sqlite(), on_dynamodb()]
    print("aims: " + ("met" if all(met) else "missed"))
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
