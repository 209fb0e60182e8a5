"""A file of version 1 migrates forward after a copy, whole or damaged."""

import json
import sqlite3
from pathlib import Path

import pytest

from agent.buffer import Predecessor
from agent.buffer.high_water_mark import Mark, MarkFile
from agent.buffer.inspection import glance
from agent.buffer.schema import APPLICATION_ID, STEPS
from agent.buffer.sqlite import SqliteBuffer

STREAM = "0123456789abcdef"


def _body(seq: int, quality: str = "ntp") -> bytes:
    head = {"schema_version": 1, "truck_id": "T1", "stream_id": STREAM, "seq": seq}
    when = {"sampled_at": f"2026-01-31T12:00:{seq:02}.000Z", "time_quality": quality, "text": "x" * 900}
    return json.dumps(head | when, separators=(",", ":")).encode()


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """As version 1 of the agent left it: ten samples, five of them sent, one stream before it."""
    path = tmp_path / "b.db"
    with sqlite3.connect(path) as db:
        db.executescript(
            f"""PRAGMA journal_mode = WAL;
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
    mark = MarkFile(path.with_name("b.db.stream"))
    mark.write(Mark(STREAM, 10))
    mark.close()
    return path


def test_version_1_migrates_after_a_copy_and_nothing_is_lost(old: Path) -> None:
    assert (glance(old).highest_seq, glance(old).pending) == (10, 5)
    with SqliteBuffer(old, "T1") as buffer:
        assert buffer.stream_id == STREAM
        assert [row.body for row in buffer.pending(after=0, through=99, limit=99)] == [
            _body(n) for n in range(6, 10)
        ] + [_body(10, "estimated")]
        assert list(buffer.predecessors) == [Predecessor("before", 7)]
        assert (buffer.counts().sent, buffer.append({"x": 1}).seq) == (5, 11)
        before, after = buffer.trusted_around(10, 10)
        assert (str(before)[:19], after) == ("2026-01-31 12:00:09", None)
    with sqlite3.connect(old.with_name("b.db.version-1")) as copy:
        assert copy.execute("SELECT count(*) FROM samples").fetchone() == (10,)
        assert copy.execute("PRAGMA user_version").fetchone() == (1,)
    copy.close()
    assert len(STEPS) == 2


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
