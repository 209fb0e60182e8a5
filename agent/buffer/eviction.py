"""Keeps a buffer file below its limit: evicts what was sent, then thins what was not (docs/architecture.md)."""

from collections.abc import Callable, Iterable
from logging import getLogger

from agent.buffer import Dropped
from agent.buffer.connection import BufferFile
from agent.buffer.downsampling import Candidate, thin
from agent.buffer.schema import EVENT, PENDING
from contract.ranges import Ranges

log = getLogger(__name__)

_FULL, _ENOUGH = 0.9, 0.8
"""Of the limit: when room is made, and until when. What is between is the log's and the reserve's."""

_CHUNK = 2000


class FileBound:
    """One file's bound in bytes, the write-ahead log apart, which has a bound of its own."""

    def __init__(self, file: BufferFile, limit: int) -> None:
        self._file, self._limit = file, limit

    def used(self) -> int:
        """Bytes of the pages in use."""
        pages = int(self._file.one("PRAGMA page_count")) - int(self._file.one("PRAGMA freelist_count"))
        return pages * int(self._file.one("PRAGMA page_size"))

    def make(self, highest: int) -> bool:
        """Make room if there is too little; whether anything was dropped. The highest number always stays."""
        used = self.used()
        if used <= self._limit * _FULL:
            return False
        evicted = self._reach(lambda count: self._evict(count, highest))
        thinned = self._reach(lambda count: self._thin(count, highest))
        log.warning("buffer_full bytes=%d evicted=%d thinned=%d", used, evicted, thinned)
        return bool(evicted or thinned)

    def dropped(self, within: Ranges | None, limit: int) -> list[Dropped]:
        """The runs that were thinned, clipped to `within`; see Buffer."""
        with self._file.faults() as db:
            if within is None:
                query = "SELECT first, last, keep_every FROM thinned ORDER BY first DESC LIMIT ?"
                return [Dropped(*row) for row in reversed(db.execute(query, (limit,)).fetchall())]
            found: list[Dropped] = []
            for first, last in within:
                if len(found) == limit:
                    break
                query = (
                    "SELECT first, last, keep_every FROM thinned WHERE last >= ? AND first <= ? ORDER BY first LIMIT ?"
                )
                for run in db.execute(query, (first, last, limit - len(found))):
                    found.append(Dropped(max(first, run[0]), min(last, run[1]), run[2]))
            return found

    def _reach(self, act: Callable[[int], int]) -> int:
        """Repeat `act` on about as many samples as there are too many, until there is room or nothing was done."""
        total = 0
        while (excess := self.used() - self._limit * _ENOUGH) > 0:
            rows = self._file.one("SELECT (SELECT count(*) FROM samples) + (SELECT count(*) FROM drafts)")
            count = act(max(1, min(_CHUNK, round(excess / max(1, self.used()) * rows))))
            total += count
            if not count:
                break
        return total

    def _evict(self, count: int, highest: int) -> int:
        chosen = f"SELECT seq FROM sent WHERE seq < {highest:d} ORDER BY seq LIMIT {count:d}"
        with self._file.transaction() as db:
            db.execute(f"DELETE FROM samples WHERE seq IN ({chosen})")
            return db.execute(f"DELETE FROM sent WHERE seq IN ({chosen})").rowcount

    def _thin(self, count: int, highest: int) -> int:
        query = (
            f"SELECT seq, flags, boot FROM samples WHERE {PENDING}"
            " UNION ALL SELECT seq, flags, boot FROM drafts ORDER BY 1"
        )
        with self._file.faults() as db:
            candidates = [Candidate(seq, bool((flags or 0) & EVENT), boot) for seq, flags, boot in db.execute(query)]
        numbers, step = thin(candidates, count)
        numbers = [seq for seq in numbers if seq != highest]
        with self._file.transaction() as db:
            for table in ("samples", "drafts"):
                db.executemany(f"DELETE FROM {table} WHERE seq = ?", ((seq,) for seq in numbers))
            self._tell(numbers, step)
        return len(numbers)

    def _tell(self, numbers: Iterable[int], step: int) -> None:
        """Note the dropped runs, joined with those that they touch."""
        db = self._file.db
        runs = Ranges.of_numbers(numbers)
        touching = "last >= ? - 1 AND first <= ? + 1"
        old = [row for run in runs for row in db.execute(f"SELECT first, last FROM thinned WHERE {touching}", run)]
        db.executemany("DELETE FROM thinned WHERE first = ?", {(first,) for first, _ in old})
        joined = runs | Ranges.of(old)
        db.executemany("INSERT INTO thinned VALUES (?, ?, ?)", [(*run, step) for run in joined])
