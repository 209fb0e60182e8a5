"""What the agent says of itself: reports for gap repair, and the retained status (docs/wire.md)."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from agent.buffer import Buffer
from contract import VERSION
from contract.codec import Json, dump
from contract.ranges import Pair, Ranges

MAX_RANGES = 1000
"""What lies beyond so many pending ranges is told as one: claiming too much as pending only delays an ask."""


MAX_THINNED = 500
"""So many thinned runs are told at once: the latest unasked; the others, from the first on, when they are asked for."""


def report(
    buffer: Buffer,
    gone: Ranges | None = None,
    never_stored: Sequence[Mapping[str, Any]] = (),
    commands: Sequence[Mapping[str, Any]] = (),
) -> bytes:
    """The report on the buffer's own stream; `gone`: what was asked for and is no longer held.

    A thinned run holds no sample that was kept, so the collector may settle all of it; and what was thinned is never
    told as gone: where there are too many runs, the report says nothing of what lies behind the last that it tells.
    never_stored: samples that found no place on a full disk and so have no number, by process (see NeverStored).
    commands: answers to them (see CommandAnswer).
    """
    thinned = buffer.dropped(gone, limit=MAX_THINNED)
    if gone and len(thinned) == MAX_THINNED:
        gone &= Ranges.of([(1, thinned[-1].last)])
    lost = (buffer.gone() | (gone or Ranges())) - Ranges.of((run.first, run.last) for run in thinned)
    return _report(
        buffer.stream_id,
        buffer.highest_seq,
        oldest_retained=buffer.oldest_retained,
        pending=_covering(buffer.pending_ranges()),
        thinned=[{"from": run.first, "to": run.last, "keep_every": run.keep_every} for run in thinned],
        gone=list(lost)[:MAX_RANGES],
        never_stored=list(never_stored),
        **({"commands": list(commands)} if commands else {}),
    )


def closed(buffer: Buffer) -> list[bytes]:
    """A report on each stream whose file was lost: whatever of it has not arrived never will."""
    return [_report(stream.stream_id, stream.highest_seq, closed=True) for stream in buffer.predecessors]


def unknown(buffer: Buffer, stream_id: str, asked: Ranges) -> bytes:
    """The answer to an ask for a stream that this truck does not hold: all of it is gone."""
    known = {stream.stream_id: stream.highest_seq for stream in buffer.predecessors}
    return _report(stream_id, max(known.get(stream_id, 0), asked.last), gone=list(asked), closed=True)


def _report(stream_id: str, highest_seq: int, **more: Json) -> bytes:
    """A report's bytes; what is not said is as in contract.control_messages.Report."""
    stream = {"stream_id": stream_id, "oldest_retained": None, "highest_seq": highest_seq}
    ranges: dict[str, Json] = {"pending": [], "thinned": [], "gone": []}
    return _encode({**stream, **ranges, "closed": False, "never_stored": [], **more})


class Configured(NamedTuple):
    """What the truck says of its remote configuration: see agent.runtime.remote_config.Remote."""

    version: int | str | None = None
    problem: str | None = None


def status(state: Literal["online", "offline"], at: str, buffer: Buffer, configured: Configured) -> bytes:
    """What is retained on the status topic while the truck is there, and after it has said goodbye."""
    held = {"highest_seq": buffer.highest_seq, "buffered": buffer.counts().pending}
    return _status(state, buffer.stream_id, configured, at=at, **held)


def will(stream_id: str) -> bytes:
    """What the broker says for a truck that vanished; nobody knows when, so it has no time."""
    return _status("lost", stream_id, Configured())


def _status(state: str, stream_id: str, configured: Configured, **more: Json) -> bytes:
    """A status's bytes; what is not said is null (contract.control_messages.Status)."""
    said = {"state": state, "at": None, "stream_id": stream_id, "highest_seq": None, "buffered": None}
    also = {"version": VERSION, "config_version": configured.version, "config_problem": configured.problem}
    return _encode({**said, **also, **more})


def _encode(message: Mapping[str, Json]) -> bytes:
    return dump(message).encode()


def _covering(pending: Ranges) -> list[Pair]:
    pairs = list(pending)
    return pairs if len(pairs) <= MAX_RANGES else [*pairs[: MAX_RANGES - 1], (pairs[MAX_RANGES - 1][0], pending.last)]
