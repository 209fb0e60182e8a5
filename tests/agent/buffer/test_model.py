"""The buffer against a model: any history of appends, acknowledgements, asks, prunings, reopenings and kills."""

import os
import shutil
import tempfile
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agent.buffer.sqlite import SqliteBuffer
from contract.ranges import Ranges

RETAIN = 50.0
SHARED = "/dev/shm"  # where fsync costs nothing
NUMBERS = st.integers(1, 40)


class BufferMachine(RuleBasedStateMachine):
    """`self.sent` maps a retained number to the running second it was sent at; `self.bodies` is all that is held."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="buffer-model-", dir=SHARED if os.access(SHARED, os.W_OK) else None))
        self.now = 0.0
        self.running = 0.0
        self.bodies: dict[int, bytes] = {}
        self.pending: set[int] = set()
        self.sent: dict[int, float] = {}
        self.highest = 0
        self.buffer = self._open()

    def _open(self) -> SqliteBuffer:
        return SqliteBuffer(self.folder / "b.db", "T1", retain=RETAIN, monotonic=lambda: self.now)

    @rule(value=st.integers(0, 9))
    def append(self, value: int) -> None:
        row = self.buffer.append({"sampled_at": "2026-01-31T12:00:00.000Z", "vehicle_speed": value})
        self.highest += 1
        assert row.seq == self.highest
        self.bodies[row.seq] = row.body
        self.pending.add(row.seq)

    @rule(seqs=st.sets(NUMBERS, max_size=20))
    def mark_sent(self, seqs: set[int]) -> None:
        self.buffer.mark_sent(seqs, at="2026-01-31T12:00:01.000Z")
        for seq in seqs & self.pending:
            self.sent[seq] = self.running
        self.pending -= seqs

    @rule(pairs=st.lists(st.tuples(NUMBERS, NUMBERS), max_size=4))
    def resend(self, pairs: list[tuple[int, int]]) -> None:
        asked = Ranges.of(pairs)
        again, gone = self.buffer.resend(asked)
        numbers = {n for a, b in asked for n in range(a, b + 1) if n <= self.highest}
        assert again == Ranges.of_numbers(numbers & self.bodies.keys())
        assert gone == Ranges.of_numbers(numbers - self.bodies.keys())
        self.pending |= numbers & self.bodies.keys()
        self.sent = {seq: at for seq, at in self.sent.items() if seq not in numbers}

    @rule(seconds=st.integers(1, 40))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds
        self.running += seconds

    @rule()
    def prune(self) -> None:
        old = {seq for seq, at in self.sent.items() if at < self.running - RETAIN and seq != self.highest}
        assert self.buffer.prune() == len(old)
        for seq in old:
            del self.sent[seq], self.bodies[seq]

    @precondition(lambda self: self.highest > 0)
    @rule(months=st.integers(0, 3))
    def reopen(self, months: int) -> None:
        self.buffer.close()
        self.now += months * 30 * 86_400
        self.running = max(self.sent.values(), default=0.0)
        self.buffer = self._open()

    @rule()
    def kill(self) -> None:
        """SIGKILL: what the process had in memory is gone, what it wrote is there; no acknowledgement is forgotten."""
        left = self.folder.with_name(f"{self.folder.name}+")
        shutil.copytree(self.folder, left)
        self.buffer.close()
        shutil.rmtree(self.folder)
        left.rename(self.folder)
        self.buffer = self._open()
        ages = dict(self.buffer._file.db.execute("SELECT seq, age FROM sent"))
        assert ages.keys() == self.sent.keys()
        assert all(ages[seq] <= self.sent[seq] for seq in ages)
        self.sent = ages
        self.running = max(ages.values(), default=0.0)

    @invariant()
    def agrees(self) -> None:
        rows = self.buffer.pending(after=0, through=self.highest, limit=1000)
        assert [row.seq for row in rows] == sorted(self.pending)
        assert all(self.bodies[row.seq] == row.body for row in rows)
        assert self.buffer.pending_ranges() == Ranges.of_numbers(self.pending)
        assert self.buffer.highest_seq == self.highest
        assert self.buffer.oldest_retained == min(self.bodies, default=None)
        counts = self.buffer.counts()
        assert (counts.pending, counts.sent) == (len(self.pending), len(self.sent))
        assert not self.buffer.predecessors

    def teardown(self) -> None:
        if hasattr(self, "buffer"):
            self.buffer.close()
            shutil.rmtree(self.folder)


TestBuffer = BufferMachine.TestCase
TestBuffer.settings = settings(max_examples=40, stateful_step_count=40)
