"""A buffer file that is truncated, flipped or replaced: the agent goes on, and knows exactly what it has lost.

For every damage the same account must come out: of the numbers given out, each is still held with the very bytes that
it had, or named as gone, or belongs to a stream that is reported as closed; what was not sent is still to be sent; and
no number is given out twice.
"""

import json
import logging
import random
import shutil
import sqlite3
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.buffer import Predecessor
from agent.buffer.high_water_mark import MOST_KEPT, find
from agent.buffer.recovery import ASIDES_KEPT
from agent.buffer.schema import PAGE_SIZE
from agent.buffer.sqlite import SqliteBuffer
from agent.buffer.sqlite_pages import rows
from agent.errors import BufferDamaged
from agent.timing.clock import Moment
from contract.ranges import Ranges
from tests.budget import budget

COUNT, SENT, DRAFTS = 120, 40, 5
AT = "2026-01-31T12:00:01.000Z"


@dataclass
class Original:
    """What a whole buffer held. folder: its files. clean: closed in order; else as a kill leaves them, log and all."""

    folder: Path
    stream_id: str = ""
    bodies: dict[int, bytes] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return self.folder / "b.db"


def _document(number: int) -> dict[str, object]:
    return {
        "sampled_at": f"2026-01-31T12:{number // 60:02}:{number % 60:02}.000Z",
        "time_quality": "ntp",
        "vehicle_speed": number,
        "text": "x" * (5000 if number % 50 == 7 else 500),  # now and then one that takes several pages
    }


def _make(folder: Path, *, clean: bool) -> Original:
    work = folder / "work"
    made = Original(folder / "made")
    buffer = SqliteBuffer(work / "b.db", "T1")
    moment = Moment(datetime(1970, 1, 1, tzinfo=UTC), "boot-1", 7.0)
    rows = [buffer.append(_document(n), moment, event=n % 9 == 0) for n in range(COUNT - DRAFTS)]
    buffer.mark_sent(range(1, SENT + 1), at=AT)
    rows += [buffer.append(_document(n), moment, waits=True) for n in range(COUNT - DRAFTS, COUNT)]
    made.bodies, made.stream_id = {row.seq: row.body for row in rows}, buffer.stream_id
    if not clean:
        shutil.copytree(work, made.folder)
    buffer.close()
    if clean:
        shutil.copytree(work, made.folder)
    return made


@pytest.fixture(scope="module", params=["closed", "killed"])
def original(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Original:
    return _make(tmp_path_factory.mktemp(request.param), clean=request.param == "closed")


@pytest.fixture
def victim(original: Original, ram: Path) -> Original:
    """A copy to be damaged."""
    copy = Original(ram / "victim", original.stream_id, original.bodies)
    shutil.copytree(original.folder, copy.folder)
    return copy


def _hold_to_account(victim: Original) -> int:
    """Open it, check everything, sample on; how many samples are still held."""
    with SqliteBuffer(victim.path, "T1") as buffer:
        held = _held(buffer)
        if buffer.stream_id != victim.stream_id:
            assert held == {}
            assert list(buffer.predecessors) == [Predecessor(victim.stream_id, COUNT)]
            assert buffer.append(_document(0)).seq == 1
            return 0
        assert {seq: body for seq, body in held.items() if victim.bodies.get(seq) != body} == {}
        assert Ranges.of_numbers(held) | buffer.gone() == Ranges.of([(1, buffer.highest_seq)])
        # where the newest of the mark was damaged nobody knows how many more it kept
        assert COUNT <= buffer.highest_seq <= COUNT + MOST_KEPT
        unsent = {seq for seq in held if seq > SENT}
        assert Ranges.of_numbers(unsent) - buffer.pending_ranges() == Ranges()
        highest = buffer.highest_seq
        assert buffer.append(_document(0)).seq == highest + 1
    with SqliteBuffer(victim.path, "T1") as buffer:
        assert _held(buffer).keys() == held.keys() | {highest + 1}
    return len(held)


def _held(buffer: SqliteBuffer) -> dict[int, bytes]:
    query = "SELECT seq, body FROM samples UNION ALL SELECT seq, body FROM drafts"
    return dict(buffer._file.db.execute(query).fetchall())


def _flip(path: Path, at: int, bits: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ bits]))


def test_an_undamaged_file_is_left_alone(victim: Original) -> None:
    assert _hold_to_account(victim) == COUNT
    assert not list(victim.folder.glob("*damaged*"))


@pytest.mark.timeout(3600)
@budget(1, 15)
def test_flipped_bits_in_any_page(original: Original, ram: Path, examples: int) -> None:
    """In every page of every file, at seeded places spread over it, one bit or a few; and in the first 100 bytes, each
    of them. 15 to a page of 512 bytes, one in every 34, are as many to a file as the 60 that were meant for 2 KB."""
    chance = random.Random(f"{original.folder.parent.name}{examples}")
    names = [name for name in ("b.db", "b.db-wal", "b.db.stream") if (original.folder / name).exists()]
    spots = [("b.db", at) for at in range(100)] if original.folder.parent.name.startswith("closed") else []
    for name in names:
        size = (original.folder / name).stat().st_size
        step = PAGE_SIZE / examples
        spots += [
            (name, chance.randrange(int(at * step), min(int((at + 1) * step), size))) for at in range(int(size / step))
        ]
    if examples == 1:
        spots = chance.sample(spots, 90)
    kept = []
    for number, (name, at) in enumerate(spots):
        victim = Original(ram / str(number), original.stream_id, original.bodies)
        shutil.copytree(original.folder, victim.folder)
        for _ in range(1 if at < 100 else chance.choice((1, 1, 3))):
            _flip(
                victim.folder / name,
                at if at < 100 else chance.randrange(at - at % PAGE_SIZE, at + 1),
                1 << chance.randrange(8),
            )
        try:
            kept.append(_hold_to_account(victim))
        except Exception as error:
            raise AssertionError(f"{name} at {at} (number {number})") from error
        shutil.rmtree(victim.folder)
    print(
        f"{len(spots)} damaged files: of {COUNT} samples {min(kept)} at least, {sum(kept) / len(kept):.1f} on average"
    )
    assert min(kept) >= COUNT - 8


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file(victim: Original, share: float) -> None:
    size = victim.path.stat().st_size
    with victim.path.open("r+b") as file:
        file.truncate(int(size * share))
    _hold_to_account(victim)


@pytest.mark.parametrize("garbage", [b"", b"\0" * 50_000, b"not a database " * 4000, bytes(range(256)) * 300])
def test_garbage_in_its_place(victim: Original, garbage: bytes) -> None:
    victim.path.write_bytes(garbage)
    victim.path.with_name("b.db-wal").unlink(missing_ok=True)
    in_the_mark = len(find(victim.path.with_name("b.db.stream").read_bytes(), "T1").newest)
    assert _hold_to_account(victim) >= in_the_mark


def test_a_page_of_garbage_anywhere_costs_what_was_on_it(original: Original, ram: Path) -> None:
    for page in range(original.path.stat().st_size // PAGE_SIZE):
        victim = Original(ram / str(page), original.stream_id, original.bodies)
        shutil.copytree(original.folder, victim.folder)
        with victim.path.open("r+b") as file:
            file.seek(page * PAGE_SIZE)
            file.write(random.Random(page).randbytes(PAGE_SIZE))
        assert _hold_to_account(victim) >= COUNT - 8
        shutil.rmtree(victim.folder)


def test_it_says_what_it_salvaged_and_keeps_the_evidence_but_not_without_end(
    victim: Original, caplog: pytest.LogCaptureFixture
) -> None:
    if victim.path.with_name("b.db-wal").exists():
        pytest.skip("the log still has every page: SQLite would not see the damage")
    caplog.set_level(logging.WARNING)
    for turn in range(ASIDES_KEPT + 2):
        with victim.path.open("r+b") as file:
            file.seek(PAGE_SIZE * (3 + turn))
            file.write(b"\xff" * PAGE_SIZE)
        damaged = victim.path.read_bytes()
        with SqliteBuffer(victim.path, "T1"):
            pass
        asides = sorted(victim.folder.glob("b.db.damaged-*[0-9]"), key=lambda path: path.name.rsplit("-", 1)[1])
        assert asides[-1].read_bytes() == damaged
    assert len(asides) == ASIDES_KEPT
    said = [record.getMessage() for record in caplog.records if "buffer_salvaged" in record.getMessage()]
    assert len(said) == ASIDES_KEPT + 2
    assert f"stream_id={victim.stream_id} kept=" in said[0]
    assert asides[-1].name in said[-1]


def test_what_is_held_is_neither_gone_nor_thinned_whatever_a_damaged_table_says(victim: Original) -> None:
    """Else the collector would never ask for it again."""
    with sqlite3.connect(victim.path) as database:
        database.execute("INSERT INTO thinned VALUES (10, ?, 4)", (COUNT,))
        database.execute("INSERT INTO gone VALUES (30, 50)")
        database.execute("UPDATE samples SET body = x'00' WHERE seq = 20")
    database.close()
    with SqliteBuffer(victim.path, "T1") as buffer:
        with suppress(BufferDamaged):
            buffer.resend(Ranges.of([(1, COUNT)]))
            buffer.pending(after=0, through=COUNT, limit=COUNT)
        buffer.repair()
        assert [(run.first, run.last) for run in buffer.dropped(limit=9)] == [(20, 20)]
        assert buffer.gone() == Ranges()
        assert 20 not in _held(buffer)


def test_what_does_not_prove_to_be_sent_is_sent(victim: Original) -> None:
    """A bit of its number that flips in the table of what was sent would call another sample sent."""
    SqliteBuffer(victim.path, "T1").close()  # so that the mark knows nothing that the file does not
    with sqlite3.connect(victim.path) as database:
        database.execute("UPDATE sent SET seq = ? WHERE seq = ?", (SENT + 32, SENT))
    database.close()
    with SqliteBuffer(victim.path, "T1") as buffer:
        assert buffer.pending_ranges() == Ranges.of([(SENT, COUNT)])
        assert buffer.counts().sent == SENT - 1


def test_a_row_that_goes_on_in_circles_is_no_row() -> None:
    """What looks like a leaf may be the middle of something else: its row of 2 GB goes on in page 3, and that in 3."""
    leaf = b"\x0d\0\0\0\1\0\x10\0" + b"\0\x10" + bytes(6) + b"\x87\xff\xff\xff\x7f\1"
    leaf = leaf.ljust(512, b"\0")
    least = (512 - 12) * 32 // 255 - 23
    local = least + (0x7FFFFFFF - least) % 508
    at = 22 + (local if local <= 477 else least)
    leaf = leaf[:at] + (3).to_bytes(4, "big") + leaf[at + 4 :]
    assert list(rows(leaf + leaf + (3).to_bytes(4, "big") * 128, b"")) == []


def test_damage_found_while_running_is_repaired_in_place(victim: Original) -> None:
    """A page that goes bad under an open file; the numbers go on, and what was on it is gone, and only that."""
    with SqliteBuffer(victim.path, "T1") as buffer:
        rows = buffer.pending(after=0, through=COUNT, limit=COUNT)
        assert len(rows) == COUNT - SENT - DRAFTS
        victim_row = rows[30]
        buffer._file.db.execute("UPDATE samples SET body = ? WHERE seq = ?", (b"{}", victim_row.seq))
        with pytest.raises(BufferDamaged):
            buffer.pending(after=0, through=COUNT, limit=COUNT)
        buffer.repair()
        assert buffer.stream_id == victim.stream_id
        again = {row.seq: row.body for row in buffer.pending(after=0, through=COUNT, limit=COUNT)}
        assert again == {row.seq: row.body for row in rows if row.seq not in buffer.gone()}
        assert buffer.gone().count <= 1  # an older copy of its page may have survived
        assert buffer.append(_document(0)).seq == COUNT + 1
        assert buffer.counts().waiting == DRAFTS
        assert not buffer.resend(Ranges.of([(1, COUNT)]))[1] - buffer.gone()


@pytest.mark.parametrize("share", [0, 0.005, 0.33])
def test_a_lost_tail_of_the_log_is_read_behind_the_damage(original: Original, ram: Path, share: float) -> None:
    """SQLite stops at the first bad frame of its log; what stands behind it was acknowledged to the sampler. Where that
    is the very beginning, the file of a truck's first hours has tables and nothing in them."""
    log = original.path.with_name("b.db-wal")
    if not log.exists():
        pytest.skip("closed in order: there is no log")
    victim = Original(ram / "victim", original.stream_id, original.bodies)
    shutil.copytree(original.folder, victim.folder)
    _flip(victim.folder / "b.db-wal", int(log.stat().st_size * share), 1)
    assert _hold_to_account(victim) >= COUNT - 8


def test_another_program_and_a_newer_version_are_not_mistaken_for_damage(victim: Original) -> None:
    with sqlite3.connect(victim.path) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    with pytest.raises(Exception, match="version 999"):
        SqliteBuffer(victim.path, "T1")
    assert not list(victim.folder.glob("*damaged*"))


def test_bodies_are_json_of_their_own_number(original: Original) -> None:
    """The account above is worth something only if the originals are right."""
    assert all(json.loads(body)["seq"] == seq for seq, body in original.bodies.items())
