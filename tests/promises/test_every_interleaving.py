"""Two handlers, a sample each, in every order in which their calls can happen.

Small enough to leave nothing to chance: no order of these stories ends wrong, and with a rule of the protocol broken
it is known how many do. The searches beside this one take larger stories at random.
"""

from collections.abc import Iterator

import pytest

from collector.ingest import Ingest
from collector.ingest.history_writer import HistoryWriter
from collector.stores.dynamodb import DynamoDbStore
from contract.ingest_items import Item
from tests.promises.rivals import NOW_MS, POLICIES, Story, play, records
from tests.promises.schedule import Conductor
from tests.promises.test_rivals import FAULTS
from tests.promises.torn_dynamodb import TornTables
from tests.promises.worlds import TornWorld

# (minute, speed, status); the first is stored before the rivals begin.
A, B = ((1,),), ((2,),)
STORIES = {
    "a change, and one between": (((1, 0, 0), (5, 0, 1), (3, 0, 1)), (A, B)),
    "a change, and one between that changes nothing": (((1, 0, 0), (5, 0, 1), (3, 0, 0)), (A, B)),
    "two changes": (((1, 0, 0), (3, 0, 1), (5, 0, 0)), (A, B)),
    "two at one time": (((1, 0, 0), (3, 0, 1), (3, 1, 2)), (A, B)),
    "two before all": (((5, 0, 0), (3, 0, 1), (1, 0, 1)), (A, B)),
    "one of them twice": (((1, 0, 0), (3, 0, 1)), (A, A)),
}


class Orders:
    """Every sequence of choices, each once: those of one run steer the next (depth first)."""

    def __init__(self) -> None:
        self._path: list[tuple[int, int]] = []
        self._at = 0

    def choose(self, among: int) -> int:
        if self._at == len(self._path):
            self._path.append((0, among))
        picked, known = self._path[self._at]
        assert known == among, "the same choices must lead to the same place"
        self._at += 1
        return picked

    def next(self) -> bool:
        """Go on to the next sequence; False after the last."""
        while self._path and self._path[-1][0] + 1 == self._path[-1][1]:
            self._path.pop()
        if self._path:
            picked, among = self._path.pop()
            self._path.append((picked + 1, among))
        self._at = 0
        return bool(self._path)


class Instant(TornWorld):
    """Transactions that happen at one instant; else there is no end of orders."""

    def __init__(self, conductor: Conductor, story: Story, kind: type[DynamoDbStore]) -> None:
        super().__init__(conductor, NOW_MS / 1000, kind)
        self.tables = TornTables(lambda commit: commit())
        first = Item("telemetry", "file:telemetry", records(story, self.truck)[0], NOW_MS)
        Ingest(self.watcher(), POLICIES[story.policy]).ingest([first])


def _endings(
    name: str,
    kind: type[DynamoDbStore] = DynamoDbStore,
    applier: type[HistoryWriter] = HistoryWriter,
    dies_after: int | None = None,
) -> Iterator[list[str]]:
    """What is wrong after each order. dies_after: so many calls of the first handler, which then begins anew."""
    samples, rivals = STORIES[name]
    story, orders = Story(samples, rivals, deaths=(dies_after,)), Orders()
    while True:
        yield play(lambda conductor: Instant(conductor, story, kind), story, applier, choose=orders.choose)[1]
        if not orders.next():
            return


QUICK = ("a change, and one between that changes nothing", "two changes")
CALLS = 7
"""More than a handler makes that is not disturbed."""
RULES = ("rev is not bumped", "the head is read after the versions")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.prove) for name in STORIES]
)
def test_no_order_ends_wrong(name: str) -> None:
    found = [*_endings(name)]
    print(f"\n{name}: none of {len(found)} orders ends wrong")
    assert len(found) > 500
    assert [wrong for wrong in found if wrong] == []


@pytest.mark.parametrize("what", RULES)
def test_with_a_rule_broken_an_order_ends_wrong(what: str) -> None:
    """The search sees it; how many do is counted below."""
    assert any(_endings(QUICK[0], *FAULTS[what]))


@pytest.mark.prove
@pytest.mark.parametrize("what", RULES)
def test_with_a_rule_broken_so_many_orders_end_wrong(what: str) -> None:
    found = [*_endings(QUICK[0], *FAULTS[what])]
    print(f"\n{what}: {sum(map(bool, found))} of {len(found)} orders end wrong")
    assert any(found)


def _alone(dies_after: int, applier: type[HistoryWriter] = HistoryWriter) -> list[str]:
    """What is wrong after one handler that brings both samples, dies after so many calls, and begins anew."""
    samples, _ = STORIES[QUICK[0]]
    story = Story(samples, (((1, 2),),), deaths=(dies_after,))
    make = lambda conductor: Instant(conductor, story, DynamoDbStore)  # noqa: E731
    return play(make, story, applier, choose=lambda n: 0)[1]


def test_killed_after_any_call_it_heals() -> None:
    """And where what is stored already is skipped it does not, after some."""
    calls = range(1, 2 * CALLS)
    assert [_alone(call) for call in calls] == [[] for _ in calls]
    wrong = [call for call in calls if _alone(call, FAULTS["stored samples are skipped"][1])]
    print(f"\nstored samples are skipped: killed after call {wrong} of {calls[-1]} it ends wrong")
    assert wrong


@pytest.mark.prove
@pytest.mark.parametrize("call", range(1, CALLS))
def test_killed_after_any_call_no_order_ends_wrong(call: int) -> None:
    found = [*_endings(QUICK[0], dies_after=call)]
    print(f"\nkilled after call {call}: none of {len(found)} orders ends wrong")
    assert [wrong for wrong in found if wrong] == []
