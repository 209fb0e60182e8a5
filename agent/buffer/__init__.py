"""The buffer: what a truck has sampled, kept until the cloud has it and for a while after.

`Buffer` is the protocol that the service knows; implementations are named by technology (`SqliteBuffer`).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from agent.timing.clock import Moment, TimeQuality
from agent.timing.trusted_time import Anchor
from contract.codec import Json
from contract.ranges import Ranges

RETAIN_SECONDS = 7 * 24 * 3600
"""How long a sent sample stays, in seconds of running time (see Buffer)."""


class BufferRow(NamedTuple):
    """One stored sample: its number and its final bytes, which never change."""

    seq: int
    body: bytes


class Predecessor(NamedTuple):
    """A stream that ended when its file was lost: what is neither received nor pending of 1…highest_seq is gone."""

    stream_id: str
    highest_seq: int


class Draft(NamedTuple):
    """A stored sample that waits for a time. boot: a Boot's number. wall: what the clock said."""

    seq: int
    boot: int
    uptime: float
    wall: datetime


class Dated(NamedTuple):
    """The time that a waiting sample gets."""

    seq: int
    at: datetime
    quality: TimeQuality


class Boot(NamedTuple):
    """One boot of the machine that took samples; numbers grow. anchor: an instant on its time line, if one is known."""

    number: int
    name: str
    anchor: Anchor | None


class Dropped(NamedTuple):
    """A run of numbers of which every sample was dropped to make room, while every `keep_every`-th around it stayed."""

    first: int
    last: int
    keep_every: int


class Counts(NamedTuple):
    """How many samples the buffer holds: not yet sent (of these `waiting` for a time), and sent but retained."""

    pending: int
    sent: int
    waiting: int = 0


class Buffer(Protocol):
    """One truck's samples, in order, on durable storage.

    - Durability: when `append` returns, the sample survives a kill and a power cut, and its `seq` follows the one
      before without a hole. When it raises Retryable, nothing was stored and no `seq` was used up.
    - A sample whose time nobody vouches for *waits*: it has its number, is reported as pending and is not sent. It is
      dated once, by `release`. From then on, or from `append` on if it did not wait, its bytes are final.
    - A sample is *pending* until `mark_sent`, then *sent*, and retained for RETAIN_SECONDS of running time: the time
      during which an agent had the buffer open, so that neither a leaping clock nor a month in the yard shortens it.
    - The size is bounded: to make room, first what was sent goes, oldest first, then what was not is thinned (see
      thinning.py) and told by `dropped`.
    - `mark_sent` and `resend` may be forgotten by a power cut (not by a kill): a sample is then sent once more, or
      asked for once more. A sample is never forgotten.
    - Order: reads come in ascending `seq`.
    - Nobody retries in here: faults that may pass raise Retryable, and the service backs off. Damage raises Damaged,
      after which `repair` is the one thing to do: what can be read goes into a new file. Numbers stay what they were,
      but for a file of which nothing could be read: then the stream is another one.
    A buffer belongs to one process, and is used by one thread at a time.
    """

    @property
    def stream_id(self) -> str: ...

    @property
    def highest_seq(self) -> int:
        """The last number given out, 0 before the first."""
        ...

    @property
    def oldest_retained(self) -> int | None:
        """The first number still held, None when there is none."""
        ...

    @property
    def predecessors(self) -> Sequence[Predecessor]:
        """Streams of lost files that are still to be reported as closed."""
        ...

    def append(
        self, document: Mapping[str, Json], moment: Moment | None = None, *, event: bool = False, waits: bool = False
    ) -> BufferRow:
        """Store one sample and give it its number. Durable when it returns.

        Args:
            document: the wire's, without schema_version, truck_id, stream_id and seq.
            moment: when it was taken; None for now.
            event: thinning spares it.
            waits: its sampled_at and time_quality are a draft, and it is not pending before `release`.

        Returns:
            Its number and the bytes that will be sent.

        Raises:
            Retryable: the disk refuses; nothing is stored, and the number is free.
            Damaged: see the class.
        """

    def waiting(self) -> list[Draft]:
        """The samples that wait for a time.

        Returns:
            Ascending by number; empty where none does.
        """

    def release(self, dated: Sequence[Dated]) -> Ranges:
        """Give waiting samples their final time. Durable when it returns.

        Args:
            dated: number and time of each; one that does not wait is ignored.

        Returns:
            Which numbers may be sent now.
        """

    def trusted_around(self, first: int, last: int) -> tuple[datetime | None, datetime | None]:
        """The known times on both sides of a run of numbers.

        Args:
            first: the run's first number.
            last: its last.

        Returns:
            (the last known time before it, the first trusted one after it), UTC; None where there is none.
        """

    def boots(self) -> list[Boot]:
        """The boots that are remembered.

        Returns:
            In the order in which they took samples.
        """

    def remember(self, boot: str, anchor: Anchor) -> None:
        """Keep an instant on a boot's time line, for samples that still wait when the process ends.

        Args:
            boot: its name (Moment.boot).
            anchor: an uptime of it and the UTC time at that.
        """

    def pending(self, *, after: int, through: int, limit: int) -> list[BufferRow]:
        """Read what is pending.

        Args:
            after: numbers above this one.
            through: up to and with this one.
            limit: rows at most.

        Returns:
            Ascending by number; the bytes are those that were stored.

        Raises:
            Damaged: a row is not what was stored.
        """

    def pending_ranges(self) -> Ranges:
        """Which numbers are pending, those that wait for a time included.

        Returns:
            Ascending ranges.
        """

    def mark_sent(self, seqs: Collection[int], *, at: str) -> None:
        """Note that samples were acknowledged. A power cut may forget it, a kill not.

        Args:
            seqs: their numbers; unknown ones are ignored.
            at: when, RFC 3339.
        """

    def resend(self, asked: Ranges) -> tuple[Ranges, Ranges]:
        """Make what is still held of `asked` pending again.

        Args:
            asked: any numbers.

        Returns:
            (again, gone): what is pending now of what was asked, and what was given out but is no longer held. Numbers
            that were never given out are in neither.
        """

    def gone(self) -> Ranges:
        """What was lost.

        Returns:
            Numbers of this stream that were given out and lost, and of which the truck knows.
        """

    def dropped(self, within: Ranges | None = None, *, limit: int) -> list[Dropped]:
        """What was thinned.

        Args:
            within: only runs that touch these numbers; None for the latest.
            limit: runs at most.

        Returns:
            Ascending runs.
        """

    def prune(self) -> int:
        """Drop what was sent longer ago than it is retained.

        Returns:
            How many samples.
        """

    def forget_positions(self, before: datetime) -> int:
        """Take the positions out of samples that were taken before an instant; all else of them stays.

        The one exception to bytes that are final: a sample that is sent again afterwards has no position. Copies of the
        file that were set aside before that instant are removed.

        Args:
            before: UTC. What waits for a time has none that could be older.

        Returns:
            How many samples had a position until now.
        """
        ...

    def counts(self) -> Counts:
        """How many samples there are.

        Returns:
            Pending (and of these waiting for a time), and sent but retained.
        """

    def note(self, notes: Mapping[str, str]) -> None:
        """Keep short texts for whoever reads the file beside the service (`milepost agent status`).

        Args:
            notes: name → text, over what there was. A power cut may forget it.
        """

    def notes(self) -> Mapping[str, str]:
        """What `note` kept, also by an earlier process.

        Returns:
            Empty after a repair.
        """

    def repair(self) -> None:
        """After Damaged: set the file aside, salvage it into a new one, and go on with that."""
        ...

    def close(self) -> None: ...


def join_batch(rows: Iterable[BufferRow]) -> bytes:
    """`{"records":[…]}` of the stored bytes as they are."""
    return b'{"records":[' + b",".join(row.body for row in rows) + b"]}"
