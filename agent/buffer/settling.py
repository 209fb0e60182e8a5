"""What a buffer file that was just opened is owed by the mark beside it, and what of it is gone."""

from functools import partial
from logging import getLogger

from agent.buffer.connection import BufferFile
from agent.buffer.high_water_mark import MOST_KEPT, Found, Mark, MarkFile
from agent.buffer.recovery import OpenedBuffer
from agent.buffer.sample_rows import highest_held, put_sample, put_sent
from contract.ranges import Ranges

log = getLogger(__name__)


def settle(file: BufferFile, marks: MarkFile, stream_id: str, opened: OpenedBuffer, reached: int | None) -> int:
    """Bring a file and its mark to say the same.

    What the mark kept and the file does not have is taken from there, and held. Where the mark is further than both and
    its one sample in the making, the file has lost its end or gone back in time (a restored copy): what is missing is
    gone, never used twice.

    Args:
        file: the buffer file.
        marks: the mark file.
        stream_id: the file's stream.
        opened: how it was opened.
        reached: the highest number, where it is known because the damage was found while running; then what the mark
            keeps is held already.

    Returns:
        The highest number given out.
    """
    mark = marks.mark if marks.mark and marks.mark.stream_id == stream_id else None
    with file.faults() as db:
        held = highest_held(db)
    if mark:
        _forget_beyond(file, max(held, mark.highest_seq))
    told = int(file.one("SELECT max(ifnull(max(last), 0), ifnull((SELECT max(last) FROM thinned), 0)) FROM gone"))
    stored = max(held, told)
    if mark and reached is None:
        held = _take_from_mark(file, marks.found, held, stored)
    highest = max(held, told)
    top = mark.highest_seq if mark else 0
    if reached is None and _newest_may_be_lost(marks.found, mark, stored, opened):
        top = max(top, stored + MOST_KEPT, mark.stored + MOST_KEPT if mark else 0)
        reason = "damaged_mark"
    else:
        reason = "older_file"
    if opened.salvaged:
        top = max(reached if reached is not None else top, highest)
        if mark:
            _fill_from_mark(file, marks.look(), mark)
        _tell_salvaged(file, opened, mark.oldest if mark else 1, top)
        highest = top
    elif top > highest + (mark is not None and mark.stored == top and not opened.torn):  # a large one in the making
        log.warning("numbers_gone first=%d last=%d reason=%s", highest + 1, top, reason)
        _put_gone(file, Ranges.of([(highest + 1, top)]))
        highest = top
    if mark is None or mark.highest_seq < highest or marks.found.damaged:
        file.commit()
        marks.write(Mark(stream_id, highest, stored=highest))
        marks.clear_damage()
    return highest


def _newest_may_be_lost(found: Found, mark: Mark | None, stored: int, opened: OpenedBuffer) -> bool:
    """Whether numbers may have been given out of which neither the file nor the mark knows.

    That is so where the agent did not end in order, so that the newest samples were in the mark alone, and the mark
    has gone, is older than the file, or is damaged where its newest entries were.
    """
    if not stored or (opened.in_order and not opened.salvaged):
        return False
    if mark is None:
        return True
    return found.doubtful or mark.highest_seq < stored or mark.stored < stored < mark.highest_seq


def told_gone(file: BufferFile) -> Ranges:
    """Numbers given out and lost.

    Args:
        file: the buffer file.

    Returns:
        Those of its stream.
    """
    with file.faults() as db:
        return Ranges.of(db.execute("SELECT first, last FROM gone").fetchall())


def last_age(file: BufferFile) -> int:
    """The running second at which something was last sent.

    Args:
        file: the buffer file.

    Returns:
        0 where nothing was.
    """
    query = "SELECT max(ifnull((SELECT max(age) FROM sent), 0), ifnull(max(age), 0)) FROM predecessors"
    return int(file.one(query))


def _take_from_mark(file: BufferFile, found: Found, held: int, known: int) -> int:
    """The highest number held then. known: what is up to here was stored or told before."""
    kept = [sample for sample in found.newest if sample.seq > held]
    for sample in kept:
        with file.holding(partial(put_sample, row=sample)):
            pass
    if found.mark and found.mark.sent:
        sent = partial(put_sent, numbers=found.mark.sent, age=last_age(file), at=found.mark.sent_at)
        with file.holding(sent):
            pass
    if not kept:
        return held
    highest = kept[-1].seq
    lost = Ranges.of([(known + 1, highest)]) - Ranges.of_numbers(sample.seq for sample in kept)
    if lost:
        log.warning("numbers_gone missing=%s reason=damaged_mark", lost.as_lists()[:20])
        _put_gone(file, lost)
    return highest


def _fill_from_mark(file: BufferFile, found: Found, mark: Mark) -> None:
    """What the damage took from the file, as far as the mark still has it: it keeps more than it must."""
    lost = Ranges.of([(mark.oldest, mark.highest_seq)]) - _accounted_for(file)
    with file.transaction() as db:
        for row in found.samples(mark.stream_id):
            if row.seq in lost and row.wall is None:  # one that waited may have been dated since
                put_sample(db, row)


def _accounted_for(file: BufferFile) -> Ranges:
    with file.faults() as db:
        held = Ranges.of(db.execute("SELECT seq, seq FROM samples UNION SELECT seq, seq FROM drafts"))
        thinned = Ranges.of(db.execute("SELECT first, last FROM thinned"))
    return held | thinned | told_gone(file)


def _tell_salvaged(file: BufferFile, opened: OpenedBuffer, first: int, last: int) -> None:
    assert opened.salvaged
    lost = Ranges.of([(first, last)]) - _accounted_for(file)
    _put_gone(file, lost)
    kept = int(file.one("SELECT (SELECT count(*) FROM samples) + (SELECT count(*) FROM drafts)"))
    log.warning(
        "buffer_salvaged stream_id=%s kept=%d gone=%d missing=%s set_aside=%s",
        *(opened.salvaged.stream_id, kept, lost.count, lost.as_lists()[:20], opened.aside),
    )


def _put_gone(file: BufferFile, lost: Ranges) -> None:
    gone = told_gone(file) | lost
    with file.transaction() as db:
        db.execute("DELETE FROM gone")
        db.executemany("INSERT INTO gone (first, last) VALUES (?, ?)", gone.pairs)


def _forget_beyond(file: BufferFile, highest: int) -> None:
    """No number over the highest was ever given out: a row that says so was damaged."""
    beyond = "last > ? OR first > last OR first < 1 OR typeof(last) != 'integer'"
    with file.transaction() as db:
        for table in ("gone", "thinned"):
            db.execute(f"DELETE FROM {table} WHERE {beyond}", (highest,))
