"""What the agent says of itself: reports for gap repair, and the retained status (docs/wire.md)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from pydantic import BaseModel

from agent.buffer import Buffer
from contract.control_messages import Range, Report, Resend, Status
from contract.ranges import Ranges

MAX_RANGES = 1000
"""What lies beyond so many pending ranges is told as one: claiming too much as pending only delays an ask."""


MAX_THINNED = 500
"""So many thinned runs are told at once: the latest unasked; the others, from the first on, when they are asked for."""


def report(buffer: Buffer, gone: Ranges | None = None, never_stored: Sequence[Mapping[str, Any]] = ()) -> bytes:
    """The report on the buffer's own stream; `gone`: what was asked for and is no longer held.

    A thinned run holds no sample that was kept, so the collector may settle all of it; and what was thinned is never
    told as gone: where there are too many runs, the report says nothing of what lies behind the last that it tells.
    never_stored: samples that found no place on a full disk and so have no number, by process (see NeverStored).
    """
    thinned = buffer.dropped(gone, limit=MAX_THINNED)
    if gone and len(thinned) == MAX_THINNED:
        gone &= Ranges.of([(1, thinned[-1].last)])
    lost = (buffer.gone() | (gone or Ranges())) - Ranges.of((run.first, run.last) for run in thinned)
    message = {
        "stream_id": buffer.stream_id,
        "oldest_retained": buffer.oldest_retained,
        "highest_seq": buffer.highest_seq,
        "pending": _covering(buffer.pending_ranges()),
        "thinned": [{"from": run.first, "to": run.last, "keep_every": run.keep_every} for run in thinned],
        "gone": list(lost)[:MAX_RANGES],
    }
    return encode(Report.model_validate(message | {"never_stored": list(never_stored)}))


def closed(buffer: Buffer) -> list[bytes]:
    """A report on each stream whose file was lost: whatever of it has not arrived never will."""
    return [
        encode(Report(stream_id=stream.stream_id, highest_seq=stream.highest_seq, closed=True))
        for stream in buffer.predecessors
    ]


def unknown(buffer: Buffer, ask: Resend) -> bytes:
    """The answer to an ask for a stream that this truck does not hold: all of it is gone."""
    known = {stream.stream_id: stream.highest_seq for stream in buffer.predecessors}
    asked = Ranges.of(ask.ranges)
    highest = max(known.get(ask.stream_id, 0), asked.last)
    return encode(Report(stream_id=ask.stream_id, highest_seq=highest, gone=list(asked), closed=True))


@dataclass(frozen=True, slots=True)
class Configured:
    """What the truck says of its remote configuration: see agent.runtime.remote_config.Remote."""

    version: int | str | None = None
    problem: str | None = None


def status(state: Literal["online", "offline"], at: str, buffer: Buffer, configured: Configured) -> bytes:
    """What is retained on the status topic while the truck is there, and after it has said goodbye."""
    return encode(
        Status(
            state=state,
            at=at,
            stream_id=buffer.stream_id,
            highest_seq=buffer.highest_seq,
            buffered=buffer.counts().pending,
            version=_VERSION,
            config_version=configured.version,
            config_problem=configured.problem,
        )
    )


def will(stream_id: str) -> bytes:
    """What the broker says for a truck that vanished; nobody knows when, so it has no time."""
    return encode(Status(state="lost", stream_id=stream_id, version=_VERSION))


def encode(message: BaseModel) -> bytes:
    """A control message's bytes."""
    return message.model_dump_json(by_alias=True).encode()


def _covering(pending: Ranges) -> list[Range]:
    pairs = list(pending)
    return pairs if len(pairs) <= MAX_RANGES else [*pairs[: MAX_RANGES - 1], (pairs[MAX_RANGES - 1][0], pending.last)]


def _version() -> str | None:
    try:
        return version("milepost")
    except PackageNotFoundError:
        return None


_VERSION = _version()
