"""A mark that was lost, damaged, exchanged or set back: no number is given out twice, and what was lost is said.

The newest samples of an agent that was killed are in the mark alone. What destroys that destroys them; their numbers
may have been sent, so they are gone and never used for others.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import pytest

from agent.buffer.high_water_mark import MOST_KEPT, SECTOR, find
from agent.buffer.sqlite import SqliteBuffer
from contract.ranges import Ranges

COUNT = 97
DOCUMENT = {"sampled_at": "2026-01-31T12:00:00.000Z", "time_quality": "ntp", "text": "x" * 600}
Damage = Callable[[bytes], bytes | None]


@dataclass
class Killed:
    """What a kill left. older: what the mark said 40 samples before."""

    folder: Path
    bodies: dict[int, bytes]
    older: bytes
    earlier: bytes

    @property
    def path(self) -> Path:
        return self.folder / "b.db"

    @property
    def mark(self) -> Path:
        return self.folder / "b.db.stream"


def _run(folder: Path, truck_id: str = "T1", count: int = COUNT) -> Killed:
    """A buffer that was killed with its newest 17 samples in the mark alone. earlier: of the sample before the last."""
    marks, bodies = list[bytes](), dict[int, bytes]()
    with SqliteBuffer(folder / "run" / "b.db", truck_id) as buffer:
        for _ in range(count):
            row = buffer.append(DOCUMENT)
            bodies[row.seq] = row.body
            marks.append((folder / "run" / "b.db.stream").read_bytes())
        buffer.mark_sent([1], at="2026-01-31T12:00:01.000Z")
        shutil.copytree(folder / "run", folder / "left")
    return Killed(folder / "left", bodies, marks[-40] if count > 40 else b"", marks[-2])


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Killed:
    return _run(tmp_path_factory.mktemp("original"))


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The mark of another truck."""
    return _run(tmp_path_factory.mktemp("foreign"), "T2", 9).mark.read_bytes()


@pytest.fixture
def victim(original: Killed, tmp_path: Path) -> Killed:
    """A copy to be damaged."""
    shutil.copytree(original.folder, tmp_path / "victim")
    return Killed(tmp_path / "victim", original.bodies, original.older, original.earlier)


def _hold_to_account(victim: Killed) -> int:
    """Open it, check everything, sample on, be killed, and go on once more; how many samples are held."""
    with SqliteBuffer(victim.path, "T1") as buffer:
        held = {row.seq: row.body for row in buffer.pending(after=0, through=999, limit=999)}
        assert {seq for seq, body in held.items() if victim.bodies.get(seq) != body} == set()
        assert Ranges.of([(2, COUNT)]) - Ranges.of_numbers(held) == Ranges.of([(2, COUNT)]) & buffer.gone()
        assert COUNT <= buffer.highest_seq <= COUNT + MOST_KEPT
        assert list(buffer.predecessors) == []
        following = buffer.highest_seq + 1
        assert buffer.append(DOCUMENT).seq == following
        gone = buffer.gone()
        shutil.copytree(victim.folder, victim.folder / "again")
    with SqliteBuffer(victim.folder / "again" / "b.db", "T1") as again:
        assert (again.gone(), again.highest_seq) == (gone, following)
    return len(held)


def _newest(mark: bytes) -> slice:
    """The bytes of the five newest samples, two sectors each."""
    at = find(mark, "T1").at
    return slice((at - 10) * SECTOR, at * SECTOR)


def _without_the_newest(mark: bytes, instead: bytes) -> bytes:
    part = _newest(mark)
    return mark[: part.start] + instead + mark[part.stop :]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda mark: None, id="deleted"),
        pytest.param(lambda mark: b"", id="empty"),
        pytest.param(lambda mark: bytes(len(mark)), id="zeros"),
        pytest.param(lambda mark: b"\xa5" * len(mark), id="garbage"),
        pytest.param(lambda mark: mark[: _newest(mark).start], id="cut off"),
        pytest.param(lambda mark: _without_the_newest(mark, bytes(10 * SECTOR)), id="newest are zeros"),
        pytest.param(lambda mark: _without_the_newest(mark, b"\xa5" * 10 * SECTOR), id="newest are garbage"),
        pytest.param(lambda mark: _without_the_newest(mark, b"\xa5" * 9 * SECTOR) + mark, id="and shifted"),
    ],
)
def test_a_damaged_mark_costs_what_it_alone_had(victim: Killed, damage: Damage) -> None:
    damaged = damage(victim.mark.read_bytes())
    victim.mark.unlink()
    if damaged is not None:
        victim.mark.write_bytes(damaged)
    assert _hold_to_account(victim) >= 79  # with the first, which was sent, the file has 80


def test_the_newest_sample_is_gone_where_only_its_acknowledgement_is_whole(victim: Killed) -> None:
    mark = bytearray(victim.mark.read_bytes())
    at = find(bytes(mark), "T1").at - 2  # behind it stands one sector of an acknowledgement
    mark[at * SECTOR : (at + 1) * SECTOR] = bytes(SECTOR)
    victim.mark.write_bytes(mark)
    assert _hold_to_account(victim) == COUNT - 2
    with SqliteBuffer(victim.path, "T1") as buffer:
        assert buffer.gone() == Ranges.of([(COUNT, COUNT)])


def test_a_mark_of_another_truck_is_none(victim: Killed, foreign: bytes) -> None:
    """No stream of that truck is told as closed by this one."""
    victim.mark.write_bytes(foreign)
    assert _hold_to_account(victim) >= 79


def test_an_older_copy_of_the_mark_is_found_out(victim: Killed) -> None:
    victim.mark.write_bytes(victim.older)
    assert _hold_to_account(victim) >= 79


def test_a_file_that_was_closed_in_order_needs_no_mark(victim: Killed) -> None:
    with SqliteBuffer(victim.path, "T1"):
        pass
    victim.mark.unlink()
    with SqliteBuffer(victim.path, "T1") as buffer:
        assert (buffer.highest_seq, buffer.gone()) == (COUNT, Ranges())


def test_a_write_that_was_torn_burns_no_number(victim: Killed) -> None:
    """Whichever of its sectors reached the disk: its number was given to nobody."""
    whole = victim.mark.read_bytes()
    last = range(find(victim.earlier, "T1").at, find(whole, "T1").at)
    for some in combinations(last, len(last) - 2):  # without the acknowledgement, and one sector of the sample
        torn = bytearray(victim.earlier)
        for sector in some:
            torn[sector * SECTOR : (sector + 1) * SECTOR] = whole[sector * SECTOR : (sector + 1) * SECTOR]
        found = find(bytes(torn), "T1")
        assert found.mark
        assert not found.doubtful
        assert found.mark.highest_seq in (COUNT - 1, COUNT)
