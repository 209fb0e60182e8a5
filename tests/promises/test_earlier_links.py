"""Tables of a release before 0.2, in which the earlier of two versions names the later: read, and written on."""

import random
from itertools import pairwise

from collector.ingest import Ingest
from collector.stores.dynamodb import DynamoDbStore, items
from collector.stores.dynamodb.retries import Calls
from contract.ingest_items import Item
from tests.budget import budget
from tests.promises.rivals import NOW_MS, POLICIES, Story, faults, harder, play, records, weather
from tests.promises.schedule import Conductor
from tests.promises.torn_dynamodb import Fault, TornClient, TornTables
from tests.promises.worlds import TornWorld


def _link_as_before(tables: TornTables) -> None:
    """Each version says where it ends and links to the next; none links to the one before."""
    history = tables.items["truck_history"]
    for item in history.values():
        item.pop("prev", None)
    for earlier, (truck, later) in pairwise(sorted(history)):
        if earlier[0] == truck:
            history[earlier] |= {"end": {"S": later[:24]}, "next": items.place_in_chain(later)["prev"]}


class EarlierWorld(TornWorld):
    """Some of a story's samples were stored by the release before."""

    def __init__(
        self,
        conductor: Conductor,
        story: Story,
        known: list[int],
        fault: Fault = lambda: None,
        received_ms: int = NOW_MS,
    ) -> None:
        super().__init__(conductor, NOW_MS / 1000, fault=fault)
        client = TornClient(self.tables, lambda *_: [conductor.events.pop()() for _ in list(conductor.events)])
        calls = Calls(client, sleep=lambda _: None)
        store = DynamoDbStore("torn", calls=calls, clock=lambda: self._now, writers=1)
        brought = records(story, self.truck)
        for number in known:
            item = Item("telemetry", "file:telemetry", brought[number], received_ms)
            Ingest(store, POLICIES[story.policy]).ingest([item])
        _link_as_before(self.tables)


def test_their_history_is_read_as_it_was() -> None:
    story = Story(tuple((minute, 0, minute % 2) for minute in range(6)), ())
    world = EarlierWorld(Conductor(lambda n: 0), story, [3, 0, 4, 1, 5, 2])
    stored = world.tables.items["truck_history"].values()
    assert sum("next" in item for item in stored) == len(stored) - 1 == 5
    assert faults(world.watcher(), world.truck, story) == []
    at = world.watcher().version_at(world.truck, "2024-06-01T10:02:30.000Z")
    assert at
    assert (at[0].order_key[:24], at[0].end) == ("2024-06-01T10:02:00.000Z", "2024-06-01T10:03:00.000Z")


@budget(60, 20_000)
def test_rivals_write_them_on_without_a_wrong_history(examples: int) -> None:
    wrong, mixed = [], 0
    for seed in range(examples):
        chance = random.Random(seed)
        story, fault = harder(chance), weather(chance)
        known = chance.sample(range(len(story.samples)), chance.randint(1, len(story.samples)))
        later = NOW_MS + 60_000  # than the handlers receive them again
        world, found = play(lambda conductor: EarlierWorld(conductor, story, known, fault, later), story)  # noqa: B023
        wrong += [(seed, story, found)] if found else []
        assert isinstance(world, EarlierWorld)
        stored = world.tables.items["truck_history"].values()
        mixed += any("prev" in item for item in stored) and any("next" in item for item in stored)
    assert wrong == []
    assert mixed > examples / 10, "histories with links of both kinds"
