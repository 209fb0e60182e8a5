"""A truck's samples into its history, and what it says into its ledgers: put, read, plan, apply (docs/architecture.md).

The order is the protocol. The head is read and the samples are put; then the versions beside them are read, then the
samples after them; what is planned from these is applied under the head's `rev`. The head is read once: if the apply
succeeds, nobody has applied anything since, so it is what a head read after the puts would be. Whoever dies on the way
leaves samples that are stored and not applied: not in the ledger either, so they are holes, come again, and heal.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from collector.completeness.ledger import StreamLedger
from collector.history import Point, Steps, TrackingPolicy, parts, start
from collector.ingest.affected_runs import neighbourhood
from collector.rows import StoredSample
from collector.stores import Change, Conflict, Store, TruckDamaged, TruckHead
from contract import timestamps
from contract.errors import Retryable
from contract.ranges import Ranges
from contract.records import Sample

_REPLANS = 50
_NONE = Ranges()


class HistoryWriter:
    """Applies one truck's input at a time to a store; stateless beyond that."""

    def __init__(self, store: Store, policy: TrackingPolicy) -> None:
        self._store = store
        self._policy = policy

    def write(self, truck_id: str, samples: Sequence[Sample], received_ms: Sequence[int]) -> list[bool]:
        """Put and apply at most `store.chunk` samples; True for each that was new.

        Raises Retryable where others were always first, Damaged where nobody was and the history does not fit together;
        what was put stays, and the same call heals it.
        """
        rows = self._rows(truck_id, samples, received_ms)
        streams = {sample.stream_id for sample in samples if sample.stream_id is not None}
        head = self._store.head(truck_id, streams)
        fresh = self._store.put_samples(truck_id, rows)
        arrivals = _arrivals(head, samples, fresh)
        now_ms = max(received_ms)

        def settle(ledgers: Mapping[str, StreamLedger]) -> dict[str, StreamLedger]:
            return {
                stream_id: ledgers[stream_id].receive(numbers, now_ms, conflicts=conflicts, contents=contents)
                for stream_id, numbers, conflicts, contents in arrivals
            }

        self._apply(truck_id, head, self._points(rows, fresh), settle)
        return fresh

    def revise(self, truck_id: str, stream_id: str, change: Callable[[StreamLedger], StreamLedger]) -> None:
        """Change the ledger of one stream."""
        head = self._store.head(truck_id, [stream_id])
        self._apply(truck_id, head, [], lambda ledgers: {stream_id: change(ledgers[stream_id])})

    def _rows(self, truck_id: str, samples: Sequence[Sample], received_ms: Sequence[int]) -> list[StoredSample]:
        estimated = {sample.content: sample.order_key for sample in reversed(samples) if sample.estimated}
        claimed = self._store.claim(truck_id, estimated) if estimated else {}
        return [
            self._row(sample, claimed.get(sample.content) if sample.estimated else None, at)
            for sample, at in zip(samples, received_ms, strict=True)
        ]

    def _row(self, sample: Sample, claimed: str | None, received_ms: int) -> StoredSample:
        """`claimed`: where a record whose time nobody vouches for was put when it first came: its place for ever.

        One that is dated by its arrival was received then, also where whoever brought it died before putting it.
        """
        place = claimed or sample.order_key
        by_arrival = sample.own_time != start(place)
        return StoredSample(  # by position: by name it takes twice as long
            place,
            self._policy.key(sample.record, place),
            sample.stream_id,
            sample.seq,
            sample.content,
            min(timestamps.to_ms(place), received_ms) if by_arrival else received_ms,
            by_arrival,
            sample.text,
            sample.estimated,
        )

    def _points(self, rows: Sequence[StoredSample], fresh: Sequence[bool]) -> list[Point]:
        """What to apply: also what was stored already, by someone who may have died before applying it."""
        return [Point._make(found) for found in sorted({row.order_key: row.key for row in rows}.items())]

    def _apply(
        self,
        truck_id: str,
        head: TruckHead,
        points: Sequence[Point],
        settle: Callable[[Mapping[str, StreamLedger]], Mapping[str, StreamLedger]],
    ) -> None:
        latest, streams = points[-1].order_key if points else "", tuple(head.ledgers)
        revs = set()
        for _ in range(_REPLANS):
            revs.add(head.rev)
            planned = self._plan(truck_id, head, points)
            try:
                for steps in planned[:-1]:
                    head = self._store.apply(truck_id, head, Change(steps, latest))
                self._store.apply(truck_id, head, Change(planned[-1], latest, settle(head.ledgers)))
            except Conflict:
                head = self._store.head(truck_id, streams)
                continue
            return
        if len(revs) == 1:  # nobody else has changed anything, and yet it does not fit together
            raise TruckDamaged(truck_id)
        raise Retryable(
            f"truck {truck_id}: {_REPLANS} times another writer was first; if that goes on, run `milepost verify`"
        )

    def _plan(self, truck_id: str, head: TruckHead, points: Sequence[Point]) -> list[Steps]:
        """What to apply under the head; what it is made from is read after the head."""
        return parts(neighbourhood(self._store, truck_id, head, points), self._store.most_versions)


class _Arrival(NamedTuple):
    """What came of one stream: the numbers, those of them under which a second content was stored, and the number and
    content hash of each."""

    stream_id: str
    numbers: Ranges
    conflicts: Ranges
    contents: list[tuple[int, str]]


def _arrivals(head: TruckHead, samples: Sequence[Sample], fresh: Sequence[bool]) -> list[_Arrival]:
    """Of samples that were put. A second content came before, or in this call.

    head: as it was before the samples were put, so that another handler that brings the same sample at the same time is
    not taken for another content. What two handlers bring at one time, or one that died and came again, the ledger's
    recent contents tell.
    """
    gathered: dict[str, tuple[list[tuple[int, str]], list[int]]] = {}
    for sample, new in zip(samples, fresh, strict=True):
        if sample.stream_id is None or sample.seq is None:
            continue
        contents, stored = gathered.setdefault(sample.stream_id, ([], []))
        contents.append((sample.seq, sample.content))
        if new:
            stored.append(sample.seq)
    return [
        _Arrival(
            stream_id, Ranges.of_numbers([number for number, _ in contents]), _again(head, stream_id, stored), contents
        )
        for stream_id, (contents, stored) in gathered.items()
    ]


def _again(head: TruckHead, stream_id: str, stored: Sequence[int]) -> Ranges:
    """The numbers of those stored that came before, or that stand among them twice."""
    before, seen, twice = head.ledgers[stream_id].received, set[int](), []
    for number in stored:
        if number in seen or number in before:
            twice.append(number)
        seen.add(number)
    return Ranges.of_numbers(twice) if twice else _NONE
