"""The one path by which anything enters a store."""

import logging
from collections import defaultdict
from collections.abc import Sequence

from collector.clicks import stored as stored_click
from collector.history import Point, Policy, plan
from collector.ingest.judge import Refusal, TruckReport, TruckStatus, Verdict, judge, letter
from collector.ingest.neighbourhood import neighbourhood
from collector.ledger import Stream
from collector.stores import Conflict, Store, StoredSample
from contract.errors import Misconfigured, Rejected, Retryable
from contract.items import Item, Receipt
from contract.ranges import Ranges
from contract.records import ClickEvent, Sample

log = logging.getLogger(__name__)

_REPLANS = 50


def vouch_for_policy(store: Store, policy: Policy) -> None:
    """Remember the policy in a new store. Raises Misconfigured where the store's history was made with another."""
    remembered = store.policy()
    if remembered is None:
        with store.unit():
            store.remember_policy(policy.text)
    elif remembered != policy.text:
        raise Misconfigured(
            "the store's history was made with another `track` policy: run `milepost rebuild`, or restore the setting"
        )


class Ingest:
    """Takes items to a store. Call it from one thread; several processes may each have their own on one store."""

    def __init__(self, store: Store, policy: Policy) -> None:
        self._store = store
        self._policy = policy
        self.unknown_keys: dict[str, int] = defaultdict(int)
        """How many samples carried each key that the contract does not know; they are kept with the sample."""

    def ingest(self, items: Sequence[Item]) -> list[Receipt]:
        """Take all items in one durable act; a receipt each, in order.

        Raises Retryable with nothing taken. An item that the store chokes on for a reason of its own (a bug, not a
        fault outside) is found by halving and dead-lettered, so that it cannot stop the rest.
        """
        if not items:
            return []
        verdicts = [judge(item) for item in items]
        try:
            with self._store.unit():
                receipts = self._take(items, verdicts)
        except Retryable:
            raise
        except Exception as error:  # noqa: BLE001 - a record's door
            if len(items) == 1:
                return [self._bury(items[0], error)]
            half = len(items) // 2
            return self.ingest(items[:half]) + self.ingest(items[half:])
        self._note_unknown_keys(verdicts)
        return receipts

    def _bury(self, item: Item, error: Exception) -> Receipt:
        log.exception("item_not_applied source=%s", item.source)
        refusal = Rejected(
            "", f"could not be applied ({error!r:.200}): report this, then `milepost dead-letters retry`"
        )
        with self._store.unit():
            self._store.put_dead_letters([letter(item, refusal)])
        return Receipt("rejected", None, refusal.field, refusal.reason)

    def _note_unknown_keys(self, verdicts: Sequence[Verdict]) -> None:
        for verdict in verdicts:
            for key in verdict.unknown if isinstance(verdict, Sample) else ():
                if key not in self.unknown_keys:
                    log.warning("unknown_key_kept key=%s truck=%s", key, verdict.truck_id)  # type: ignore[union-attr]
                self.unknown_keys[key] += 1

    def _take(self, items: Sequence[Item], verdicts: Sequence[Verdict]) -> list[Receipt]:
        if self._store.policy() not in (None, self._policy.text):
            raise Retryable("`milepost rebuild` has changed the `track` policy meanwhile: restart with that setting")
        receipts: list[Receipt | None] = [None] * len(items)
        by_truck: dict[str, list[int]] = defaultdict(list)
        clicks: list[int] = []
        for index, verdict in enumerate(verdicts):
            if isinstance(verdict, Sample):
                by_truck[verdict.truck_id].append(index)
            elif isinstance(verdict, ClickEvent):
                clicks.append(index)
        for truck_id, indexes in by_truck.items():
            for first in range(0, len(indexes), self._store.chunk):
                chunk = indexes[first : first + self._store.chunk]
                fresh = self._take_samples(truck_id, [verdicts[i] for i in chunk], [items[i] for i in chunk])  # type: ignore[misc]
                for i, new in zip(chunk, fresh, strict=True):
                    receipts[i] = _receipt(new, verdicts[i].seq)  # type: ignore[union-attr]
        fresh = self._store.put_clicks([stored_click(verdicts[i], items[i].received_ms) for i in clicks])  # type: ignore[arg-type]
        for i, new in zip(clicks, fresh, strict=True):
            receipts[i] = _receipt(new, verdicts[i].event_id)  # type: ignore[union-attr]
        for i, verdict in enumerate(verdicts):
            if receipts[i] is None:
                receipts[i] = self._take_other(items[i], verdict)
        self._store.put_dead_letters([verdict.letter for verdict in verdicts if isinstance(verdict, Refusal)])
        return receipts  # type: ignore[return-value]

    def _take_samples(self, truck_id: str, samples: Sequence[Sample], items: Sequence[Item]) -> list[bool]:
        rows = [self._row(sample, item.received_ms) for sample, item in zip(samples, items, strict=True)]
        fresh = self._store.put_samples(truck_id, rows)
        # A stored sample still goes through the rest: it may have been put by someone who died before applying it.
        points = {row.order_key: row.key for row, new in zip(rows, fresh, strict=True) if new or not row.by_arrival}
        if points:
            self._apply(truck_id, [Point(order_key, points[order_key]) for order_key in sorted(points)])
        self._settle(truck_id, samples, fresh, max(item.received_ms for item in items))
        return fresh

    def _row(self, sample: Sample, received_ms: int) -> StoredSample:
        order_key = sample.order_key
        return StoredSample(
            order_key=order_key,
            key=self._policy.key(sample.record, order_key),
            stream_id=sample.stream_id,
            seq=sample.seq,
            content=sample.content,
            received_ms=received_ms,
            by_arrival=sample.by_arrival,
            text=sample.text,
        )

    def _apply(self, truck_id: str, points: list[Point]) -> None:
        for _ in range(_REPLANS):
            head = self._store.head(truck_id)
            steps = plan(neighbourhood(self._store, truck_id, head, points))
            try:
                return self._store.apply(truck_id, head, steps, points[-1].order_key)
            except Conflict:
                continue
        raise Retryable(f"truck {truck_id}: {_REPLANS} other writers were first; try again")

    def _settle(self, truck_id: str, samples: Sequence[Sample], fresh: Sequence[bool], now_ms: int) -> None:
        numbers: dict[str, list[tuple[int, bool]]] = defaultdict(list)
        for sample, new in zip(samples, fresh, strict=True):
            if sample.stream_id is not None and sample.seq is not None:
                numbers[sample.stream_id].append((sample.seq, new))
        ledgers = {}
        for stream_id, arrived in numbers.items():
            ledger = self._store.ledger(truck_id, stream_id)
            twice = Ranges.of_numbers(_conflicting(ledger, arrived))
            came = Ranges.of_numbers(number for number, _ in arrived)
            ledgers[stream_id] = ledger.receive(came, now_ms, conflicts=twice)
        self._store.put_ledgers(truck_id, ledgers)

    def _take_other(self, item: Item, verdict: Verdict) -> Receipt:
        now = item.received_ms
        if isinstance(verdict, Refusal):
            if verdict.truck_id and verdict.stream_id and verdict.seq:
                ledger = self._store.ledger(verdict.truck_id, verdict.stream_id)
                refused = ledger.dead_letter(Ranges.of_numbers([verdict.seq]), now)
                self._store.put_ledgers(verdict.truck_id, {verdict.stream_id: refused})
            return Receipt("rejected", verdict.id, verdict.letter.field or None, verdict.letter.reason)
        if isinstance(verdict, TruckReport):
            said = verdict.report
            ledger = self._store.ledger(verdict.truck_id, said.stream_id)
            self._store.put_ledgers(verdict.truck_id, {said.stream_id: ledger.report(said, now)})
        elif isinstance(verdict, TruckStatus):
            self._take_status(verdict, now)
        return Receipt("accepted")

    def _take_status(self, verdict: TruckStatus, now_ms: int) -> None:
        status = verdict.status
        self._store.put_status(verdict.truck_id, verdict.text)
        if status.stream_id and status.highest_seq is not None:
            ledger = self._store.ledger(verdict.truck_id, status.stream_id)
            self._store.put_ledgers(verdict.truck_id, {status.stream_id: ledger.reach(status.highest_seq, now_ms)})


def _receipt(new: bool, identity: str | int | None) -> Receipt:
    return Receipt("accepted" if new else "duplicate", identity)


def _conflicting(ledger: Stream, arrived: Sequence[tuple[int, bool]]) -> list[int]:
    """The numbers under which a second content was stored, in the store or within this chunk."""
    seen: set[int] = set()
    twice = []
    for number, new in arrived:
        if new and (number in seen or number in ledger.received):
            twice.append(number)
        if new:
            seen.add(number)
    return twice
