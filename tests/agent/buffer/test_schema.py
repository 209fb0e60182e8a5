"""A file of an earlier version migrates forward after a copy, whole or damaged, and drains."""

import json
import sqlite3
from pathlib import Path

import pytest

from agent.buffer import Predecessor, schema
from agent.buffer.high_water_mark import Mark, MarkFile
from agent.buffer.inspection import glance
from agent.buffer.schema import APPLICATION_ID, STEPS
from agent.buffer.sqlite import SqliteBuffer
from contract.ranges import Ranges

STREAM = "0123456789abcdef"


def _body(seq: int, quality: str = "ntp") -> bytes:
    head = {"schema_version": 1, "truck_id": "T1", "stream_id": STREAM, "seq": seq}
    when = {"sampled_at": f"2026-01-31T12:00:{seq:02}.000Z", "time_quality": quality, "text": "x" * 900}
    return json.dumps(head | when, separators=(",", ":")).encode()


def _left_by_version_1(path: Path, page_size: int) -> Path:
    """As that agent left it: ten samples, five of them sent, one stream before it."""
    with sqlite3.connect(path) as db:
        db.executescript(
            f"""PRAGMA page_size = {page_size};
            PRAGMA journal_mode = WAL;
            CREATE TABLE [stream] ([truck_id] TEXT, [stream_id] TEXT PRIMARY KEY);
            CREATE TABLE [samples] ([seq] INTEGER PRIMARY KEY, [body] BLOB NOT NULL);
            CREATE TABLE [pending] ([seq] INTEGER PRIMARY KEY);
            CREATE TABLE [sent] ([seq] INTEGER PRIMARY KEY, [age] INTEGER NOT NULL);
            CREATE INDEX [idx_sent_age] ON [sent] ([age]);
            CREATE TABLE [gone] ([first] INTEGER PRIMARY KEY, [last] INTEGER);
            CREATE TABLE [predecessors] ([stream_id] TEXT PRIMARY KEY, [highest_seq] INTEGER, [age] INTEGER);
            CREATE TABLE [notes] ([key] TEXT PRIMARY KEY, [value] TEXT);
            PRAGMA application_id = {APPLICATION_ID};
            PRAGMA user_version = 1;
            INSERT INTO stream VALUES ('T1', '{STREAM}');
            INSERT INTO predecessors VALUES ('before', 7, 0);"""
        )
        for seq in range(1, 11):
            db.execute("INSERT INTO samples VALUES (?, ?)", (seq, _body(seq, "estimated" if seq == 10 else "ntp")))
            db.execute(f"INSERT INTO {'sent' if seq <= 5 else 'pending'} VALUES (?{', 3' if seq <= 5 else ''})", (seq,))
    db.close()
    mark = MarkFile(path.with_name("b.db.stream"), "T1")
    mark.write(Mark(STREAM, 10))
    mark.close()
    return path


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Of version 1."""
    return _left_by_version_1(tmp_path / "b.db", 4096)


@pytest.mark.parametrize(("version", "page_size"), [(1, 4096), (2, 1024)])
def test_an_earlier_version_migrates_after_a_copy_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int, page_size: int
) -> None:
    old = _left_by_version_1(tmp_path / "b.db", page_size)
    with sqlite3.connect(old, isolation_level=None) as db, monkeypatch.context() as then:
        then.setattr(schema, "STEPS", STEPS[:version])
        schema.bring_up_to_date(db, old)
    db.close()
    assert (glance(old).highest_seq, glance(old).pending, glance(old).sent) == (10, 5, 5)
    with SqliteBuffer(old, "T1") as buffer:
        assert buffer.stream_id == STREAM
        assert [row.body for row in buffer.pending(after=0, through=99, limit=99)] == [
            _body(n) for n in range(6, 10)
        ] + [_body(10, "estimated")]
        assert list(buffer.predecessors) == [Predecessor("before", 7)]
        assert (buffer.counts().sent, buffer.append({"x": 1}).seq) == (5, 11)
        before, after = buffer.trusted_around(10, 10)
        assert (str(before)[:19], after) == ("2026-01-31 12:00:09", None)
    with sqlite3.connect(old.with_name(f"b.db.version-{version}")) as copy:
        assert copy.execute("SELECT count(*) FROM samples").fetchone() == (10,)
        assert copy.execute("PRAGMA user_version").fetchone() == (version,)
    copy.close()
    with SqliteBuffer(old, "T1") as buffer:  # as the agent drains it
        buffer.mark_sent(range(6, 12), at="2026-01-31T12:01:00.000Z")
        assert (buffer.counts().pending, buffer.counts().sent, buffer.pending_ranges()) == (0, 11, Ranges())
        assert buffer.resend(Ranges.of([(3, 3)]))[0] == buffer.pending_ranges() == Ranges.of([(3, 3)])
    assert (glance(old).pending, glance(old).sent) == (1, 10)


def test_a_damaged_file_of_version_1_is_salvaged_too(old: Path) -> None:
    content = bytearray(old.read_bytes())
    at = content.find(b'"seq":3,')
    page = at // 4096 * 4096
    content[page : page + 8] = b"\xff" * 8
    old.write_bytes(content)
    with SqliteBuffer(old, "T1") as buffer:
        assert buffer.stream_id == STREAM
        held = {row.seq: row.body for row in buffer.pending(after=0, through=99, limit=99)}
        assert all(body in (_body(seq), _body(seq, "estimated")) for seq, body in held.items())
        assert len(held) + buffer.counts().sent + buffer.gone().count == 10
        assert len(held) + buffer.counts().sent >= 5
