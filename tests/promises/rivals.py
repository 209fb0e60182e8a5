"""Rival handlers that bring one truck's samples: in any order, repeated, in any batches, killed after any call."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from collector import queries
from collector.history import Point, TrackingPolicy, define, start
from collector.ingest import Ingest
from collector.ingest.history_writer import HistoryWriter
from collector.rebuild import verify
from collector.stores import Store
from collector.stores.dynamodb.truck_heads import Kept
from contract import timestamps
from contract.errors import Retryable
from contract.ingest_items import Item
from contract.ranges import Ranges
from contract.records import read_sample
from tests.promises.schedule import Actor, Conductor, Killed
from tests.promises.worlds import MakeWorld, World

NOON = "2024-06-01T12:00:00.000Z"
NOW_MS = timestamps.to_ms(NOON)
BRAKES = "vehicle_health_and_maintenance.brake_status"
POLICIES = {"exact": TrackingPolicy.of({BRAKES: "exact"}), "every-sample": TrackingPolicy.of("every-sample")}
_TRIES = 20


@dataclass(frozen=True)
class Story:
    """Who brings what. samples: (minute, speed, status). rivals: for each handler its batches of sample numbers, one
    after the other. deaths: after how many calls each handler dies for the first time. order: seeds the schedule.
    twins: each two samples come under one number, as of a truck that gave it twice. receipts: seeds when each handler
    received each of its batches."""

    samples: tuple[tuple[int, int, int], ...]
    rivals: tuple[tuple[tuple[int, ...], ...], ...]
    deaths: tuple[int | None, ...] = ()
    policy: str = "exact"
    chunk: int = 30
    most_versions: int = 88
    order: int = 0
    twins: bool = False
    receipts: int = 0

    def received_ms(self, rival: int, batch: int) -> int:
        """When a handler received one of its batches: no two agree, and who commits first is another matter."""
        return NOW_MS + 1 + (self.receipts >> 3 * (rival + batch) & 7) * 1000 + 10 * rival + batch

    def first_received_ms(self, number: int) -> int:
        """The earliest of a sample's deliveries; NOW_MS where none of the handlers brings it."""
        brought = [
            self.received_ms(rival, at)
            for rival, batches in enumerate(self.rivals)
            for at, batch in enumerate(batches)
            if number in batch
        ]
        return min(brought, default=NOW_MS)

    def seq(self, number: int) -> int:
        """Of the sample with this number, from 1."""
        return (number + 1) // 2 if self.twins else number


@st.composite
def stories(draw: st.DrawFn, most: int = 8) -> Story:
    """Few instants and statuses, so that equal times and samples that change nothing are common."""
    sample = st.tuples(st.integers(0, 5), st.integers(0, 1), st.integers(0, 2))
    samples = draw(st.lists(sample, min_size=1, max_size=most, unique=True))
    numbers = list(range(len(samples)))
    again = draw(st.lists(st.sampled_from(numbers), max_size=5))
    count = draw(st.integers(1, 3))
    rivals: list[list[list[int]]] = [[] for _ in range(count)]
    for number in draw(st.permutations(numbers + again)):
        batches = rivals[draw(st.integers(0, count - 1))]
        if not batches or draw(st.booleans()):
            batches.append([])
        batches[-1].append(number)
    return Story(
        tuple(samples),
        tuple(tuple(map(tuple, batches)) for batches in rivals),
        deaths=tuple(draw(st.one_of(st.none(), st.integers(1, 30))) for _ in range(count)),
        policy=draw(st.sampled_from(sorted(POLICIES))),
        chunk=draw(st.sampled_from([1, 2, 30])),
        most_versions=draw(st.sampled_from([6, 88])),
        order=draw(st.integers(0, 2**32)),
        twins=draw(st.booleans()),
        receipts=draw(st.integers(0, 2**32)),
    )


def drawn(chance: random.Random, most: int = 6) -> Story:
    """A story without deaths, of handlers that bring a sample at a time: for finding what a fault breaks."""
    every = [(minute, speed, status) for minute in range(5) for speed in range(2) for status in range(2)]
    samples = chance.sample(every, chance.randint(3, most))
    numbers = list(range(len(samples)))
    brought = numbers + chance.choices(numbers, k=chance.randint(0, 3))
    chance.shuffle(brought)
    rivals: list[list[tuple[int, ...]]] = [[] for _ in range(chance.randint(2, 3))]
    for number in brought:
        chance.choice(rivals).append((number,))
    twins = chance.random() < 0.3
    return Story(
        tuple(samples),
        tuple(map(tuple, rivals)),
        order=chance.getrandbits(32),
        twins=twins,
        receipts=chance.getrandbits(32),
    )


def harder(chance: random.Random) -> Story:
    """A story whose handlers bring several samples at a time, in small chunks and acts, and die after some calls."""
    story = drawn(chance, most=8)
    rivals = []
    for brought in story.rivals:
        batches: list[list[int]] = []
        for [number] in brought:
            if not batches or chance.random() < 0.5:
                batches.append([])
            batches[-1].append(number)
        rivals.append(tuple(map(tuple, batches)))
    return replace(
        story,
        rivals=tuple(rivals),
        deaths=tuple(chance.choice([None, chance.randint(1, 30)]) for _ in rivals),
        policy=chance.choice(sorted(POLICIES)),
        chunk=chance.choice([1, 2, 30]),
        most_versions=chance.choice([6, 88]),
    )


def weather(chance: random.Random) -> Callable[[], str | None]:
    """What befalls each call: mostly nothing, else a throttle or a lost answer."""
    return lambda: {0: "throttled", 1: "lost"}.get(chance.randrange(15))


def records(story: Story, truck: str) -> list[dict[str, Any]]:
    return [
        {
            "truck_id": truck,
            "stream_id": "s1",
            "seq": story.seq(number),
            "sampled_at": f"2024-06-01T10:0{minute}:00.000Z",
            "vehicle_speed": speed,
            "vehicle_health_and_maintenance": {"brake_status": f"{status}"},
        }
        for number, (minute, speed, status) in enumerate(story.samples, 1)
    ]


def play(
    make: MakeWorld,
    story: Story,
    applier: type[HistoryWriter] = HistoryWriter,
    *,
    others: Sequence[Callable[[Store], object]] = (),
    choose: Callable[[int], int] | None = None,
) -> tuple[World, list[str]]:
    """Run it to its end. Gives what is wrong then: nothing, if all is as promised.

    others: what else works on the store meanwhile, each in a process of its own. choose: see Conductor; else the
    story's own order decides.
    """
    chance = random.Random(story.order)
    conductor = Conductor(choose or (lambda n: chance.randrange(n) if n > 1 else 0))
    world = make(conductor)
    cast = _Cast(world, story, applier)
    handlers = [lambda actor, rival=rival: cast.bring(actor, rival) for rival in range(len(story.rivals))]
    beside = [lambda actor, act=act: act(world.store(actor)) for act in others]
    conductor.run([*handlers, *beside], story.deaths)
    return world, [*cast.stuck, *faults(world.watcher(), world.truck, story)]


class _Cast:
    """Handlers as a stream drives them: each batch again until it is taken, by a new process where one has died."""

    def __init__(self, world: World, story: Story, applier: type[HistoryWriter]) -> None:
        self._world, self._story, self._applier = world, story, applier
        self._brought = records(story, world.truck)
        self.stuck: list[str] = []

    def bring(self, actor: Actor, rival: int) -> None:
        for at, batch in enumerate(self._story.rivals[rival]):
            received_ms = self._story.received_ms(rival, at)
            if not any(self._take(actor, batch, received_ms) for _ in range(_TRIES)):
                self.stuck.append(f"{batch} was not taken in {_TRIES} tries")

    def _take(self, actor: Actor, batch: Sequence[int], received_ms: int) -> bool:
        store = self._world.store(actor)
        store.chunk, store.most_versions = self._story.chunk, self._story.most_versions
        taker = Ingest(store, POLICIES[self._story.policy], self._applier)
        try:
            taker.ingest([Item("telemetry", "file:telemetry", self._brought[number], received_ms) for number in batch])
        except (Killed, Retryable):
            return False
        return True


def faults(store: Store, truck: str, story: Story) -> list[str]:
    """What of history, head, ledger and samples is not as the definition says."""
    policy = POLICIES[story.policy]
    read = [read_sample(each, received_ms=NOW_MS, date_by_arrival=False) for each in records(story, truck)]
    expected = define(Point(each.order_key, policy.key(each.record, each.order_key)) for each in read)
    found = []
    if [version for version, _ in store.versions(truck)] != expected:
        found.append("history")
    if [sample.order_key for _, sample in store.versions(truck)] != [version.order_key for version in expected]:
        found.append("opening samples")
    head = store.head(truck, {"s1"})
    if (head.latest, head.current) != (max(each.order_key for each in read), expected[-1]):
        found.append("head")
    ledger = head.ledgers["s1"]
    twice = Ranges.of_numbers(range(1, len(read) // 2 + 1) if story.twins else ())
    if ledger.received.as_lists() != [[1, story.seq(len(read))]] or ledger.holes:
        found.append("ledger")
    if ledger.conflicts != twice:
        found.append("conflicts")
    first = {each.order_key: story.first_received_ms(number) for number, each in enumerate(read)}
    if {sample.order_key: sample.received_ms for sample in store.samples(truck)} != first:
        found.append("samples, or their receipts")
    if any(sample.received_ms != first[sample.order_key] for _, sample in store.versions(truck)):
        found.append("receipts of opening samples")
    body = head.more.sample if isinstance(head.more, Kept) else None
    if body and int(body["received_ms"]["N"]) != first[head.latest]:
        found.append("receipt of the head's sample")
    known_ms = sorted(first.values())[len(first) // 2]
    known = define(
        Point(each.order_key, policy.key(each.record, each.order_key))
        for each in read
        if first[each.order_key] <= known_ms
    )
    rows, _ = queries.history_known_at(store, truck, timestamps.from_ms(known_ms))
    said_ms = [(row["effective_start_date"], row["effective_end_date"], row["load_timestamp"]) for row in rows]
    if said_ms != [(start(it.order_key), it.end, timestamps.from_ms(first[it.order_key])) for it in known]:
        found.append("what was known then")
    if not found and (said := verify(store, policy, truck)):
        found.append(f"verify: {said}")
    return found
