"""The one path by which anything enters a store."""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from collector.clicks.counting import stored as stored_click
from collector.completeness.ledger import StreamLedger
from collector.history import TrackingPolicy
from collector.ingest.history_writer import HistoryWriter
from collector.ingest.validation import (
    Refusal,
    TruckReport,
    TruckStatus,
    ValidationResult,
    judge,
    letter,
    refuse,
    too_late,
    too_old,
)
from collector.stores import Store, TruckDamaged
from contract import timestamps
from contract.click_records import ClickEvent
from contract.codec import canonical
from contract.errors import Misconfigured, Rejected, Retryable
from contract.forgotten import Forgotten, without_position
from contract.ingest_items import NO_WARNINGS, Item, Receipt
from contract.records import Sample

log = logging.getLogger(__name__)

_MOST_UNKNOWN_KEYS = 1_000


def vouch_for_policy(store: Store, policy: TrackingPolicy) -> None:
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

    def __init__(
        self,
        store: Store,
        policy: TrackingPolicy,
        applier: type[HistoryWriter] = HistoryWriter,
        *,
        forgotten: Forgotten | None = None,
    ) -> None:
        """
        Args:
            store: where to.
            policy: which fields are tracked.
            applier: how a truck's samples are applied.
            forgotten: who and what must not be stored again.
        """
        self._store, self._forgotten = store, forgotten
        self._policy = policy
        self._applier = applier(store, policy)
        self.unknown_keys: dict[str, int] = defaultdict(int)
        """How many samples carried each key that the contract does not know; they are kept with the sample."""

    def ingest(self, items: Sequence[Item]) -> list[Receipt]:
        """Take all items; a receipt each, in order, when all are durable.

        Raises Retryable with nothing acknowledged: take the same items again. An item that the store chokes on for a
        reason of its own (a bug, not a fault outside) is found by halving and dead-lettered, so that it cannot stop
        the rest.
        """
        if not items:
            return []
        verdicts = self._without_forgotten([judge(item) for item in items])
        try:
            with self._store.unit():
                verdicts = self._too_old(items, self._too_late(items, verdicts))
                receipts = self._take(items, verdicts)
        except (Retryable, Misconfigured):
            raise
        except Exception as error:  # noqa: BLE001 - a record's door
            if len(items) == 1:
                return [self._refuse(items[0], verdicts[0], error)]
            half = len(items) // 2
            return self.ingest(items[:half]) + self.ingest(items[half:])
        self._note_unknown_keys(verdicts)
        return receipts

    def _without_forgotten(self, verdicts: list[ValidationResult]) -> list[ValidationResult]:
        """What may be stored of records that name somebody, or a place, that was to be forgotten."""
        if self._forgotten is None or not any(self._forgotten.markers()):
            return verdicts
        return [kept_of(verdict, self._forgotten) for verdict in verdicts]

    def _refuse(self, item: Item, verdict: ValidationResult, error: Exception) -> Receipt:
        """What the store refuses for good: kept as a dead letter, then settled, so that it is not asked for again."""
        if not isinstance(error, Rejected):
            log.exception("item_not_applied source=%s", item.source)
        reason = f"could not be applied ({error!r:.200}): report this, then `milepost dead-letters retry`"
        record = verdict.record if isinstance(verdict, Sample) else None
        refusal = refuse(item, record, error if isinstance(error, Rejected) else Rejected("", reason))
        with self._store.unit():
            self._store.put_dead_letters([refusal.letter])
        with self._store.unit():
            return self._take_other(item, refusal)

    def _note_unknown_keys(self, verdicts: Sequence[ValidationResult]) -> None:
        for verdict in verdicts:
            for key in verdict.unknown if isinstance(verdict, Sample) else ():
                if key not in self.unknown_keys:
                    if len(self.unknown_keys) == _MOST_UNKNOWN_KEYS:
                        continue  # a producer may make up a key for each sample
                    log.warning("unknown_key_kept key=%s truck=%s", key, verdict.truck_id)  # type: ignore[union-attr]
                self.unknown_keys[key] += 1

    def _take(self, items: Sequence[Item], verdicts: Sequence[ValidationResult]) -> list[Receipt]:
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
        # Dead letters first: a ledger that says so before they are kept would hide a loss.
        self._store.put_dead_letters([verdict.letter for verdict in verdicts if isinstance(verdict, Refusal)])
        for indexes in by_truck.values():
            its_items = [items[i] for i in indexes]
            its_receipts = self._take_samples(its_items, [verdicts[i] for i in indexes])  # type: ignore[misc]
            for i, receipt in zip(indexes, its_receipts, strict=True):
                receipts[i] = receipt
        events = [
            stored_click(verdicts[i], items[i].received_ms, from_file=_from_file(items[i]))  # type: ignore[arg-type]
            for i in clicks
        ]
        fresh = self._store.put_clicks(events)
        for i, new in zip(clicks, fresh, strict=True):
            event: ClickEvent = verdicts[i]  # type: ignore[assignment]
            receipts[i] = _receipt(new, event.event_id, event.warnings)
        for i, verdict in enumerate(verdicts):
            if receipts[i] is None:
                receipts[i] = self._take_other(items[i], verdict)
        return receipts  # type: ignore[return-value]

    def _take_samples(self, items: Sequence[Item], samples: Sequence[Sample]) -> list[Receipt]:
        """The samples of one truck, chunk by chunk."""
        receipts: list[Receipt] = []
        for first in range(0, len(samples), self._store.chunk):
            chunk = samples[first : first + self._store.chunk]
            received_ms = [item.received_ms for item in items[first : first + len(chunk)]]
            try:
                fresh = self._applier.write(chunk[0].truck_id, chunk, received_ms)
            except TruckDamaged as error:
                return receipts + self._park(items[first:], error)
            receipts += [_receipt(new, sample.seq) for sample, new in zip(chunk, fresh, strict=True)]
        return receipts

    def _park(self, items: Sequence[Item], error: TruckDamaged) -> list[Receipt]:
        """One truck whose stored history is broken holds up itself alone: its records wait in dead letters.

        They are not settled: the ledger goes on missing them until they are retried.
        """
        log.error("truck_damaged records=%d reason=%s", len(items), error)
        self._store.put_dead_letters([letter(item, error) for item in items])
        return [Receipt("rejected", None, error.field or None, error.reason) for _ in items]

    def _too_late(self, items: Sequence[Item], verdicts: list[ValidationResult]) -> list[ValidationResult]:
        """The verdicts, but samples older than the store keeps them refused, unless they are there already."""
        oldest = self._store.too_late_ms
        if oldest is None:
            return verdicts
        late: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for index, (item, verdict) in enumerate(zip(items, verdicts, strict=True)):
            if isinstance(verdict, Sample) and self._is_too_late(item, verdict, oldest):
                late[verdict.truck_id][verdict.order_key].append(index)
        judged = list(verdicts)
        for truck_id, places in late.items():
            for order_key in places.keys() - self._store.has_samples(truck_id, list(places)):
                for index in places[order_key]:
                    judged[index] = too_late(items[index], verdicts[index], oldest)  # type: ignore[arg-type]
        return judged

    def _too_old(self, items: Sequence[Item], verdicts: list[ValidationResult]) -> list[ValidationResult]:
        """The verdicts, but events whose identities may be gone refused, unless they are there still."""
        oldest_ms = self._store.clicks_too_old_ms
        dropped = self._store.clicks_kept_from()
        if oldest_ms is None and not dropped:
            return verdicts
        expired = "" if oldest_ms is None else timestamps.from_ms(max(0, self._store.now_ms() - oldest_ms))
        old = {}
        for index, (item, verdict) in enumerate(zip(items, verdicts, strict=True)):
            earliest = dropped if _from_file(item) else max(dropped, expired)
            if isinstance(verdict, ClickEvent) and verdict.timestamp < earliest:
                old[index] = verdict
        if not old:
            return verdicts
        known = self._store.has_clicks([event.event_id for event in old.values()])
        refused = {
            index: too_old(items[index], event, oldest_ms if event.timestamp >= dropped else None)
            for index, event in old.items()
            if event.event_id not in known
        }
        return [refused.get(index, verdict) for index, verdict in enumerate(verdicts)]

    def _is_too_late(self, item: Item, sample: Sample, oldest_ms: int) -> bool:
        """Judged by the time of counting: the envelope of what is put back after weeks says when it first came."""
        now_ms = max(item.received_ms, self._store.now_ms())
        since_ms = item.received_ms if sample.estimated else timestamps.to_ms(sample.sampled_at)
        return since_ms < now_ms - oldest_ms

    def _take_other(self, item: Item, verdict: ValidationResult) -> Receipt:
        now = item.received_ms
        if isinstance(verdict, Refusal):
            for stream_id, numbers in verdict.samples.items():
                settle = partial(StreamLedger.dead_letter, numbers=numbers, now_ms=now)
                self._applier.revise(verdict.truck_id or "", stream_id, settle)
            return Receipt("rejected", verdict.id, verdict.letter.field or None, verdict.letter.reason)
        if isinstance(verdict, TruckReport):
            said = verdict.report
            self._applier.revise(verdict.truck_id, said.stream_id, lambda ledger: ledger.report(said, now))
        elif isinstance(verdict, TruckStatus):
            self._take_status(verdict, now)
        return Receipt("accepted")

    def _take_status(self, verdict: TruckStatus, now_ms: int) -> None:
        self._store.put_status(verdict.truck_id, verdict.text)
        said = verdict.status
        highest = said.highest_seq
        if said.stream_id and highest is not None:
            self._applier.revise(
                verdict.truck_id,
                said.stream_id,
                lambda ledger: ledger.reach(highest, now_ms, buffered=said.buffered),
            )


def kept_of(verdict: ValidationResult, forgotten: Forgotten) -> ValidationResult:
    """What may be kept of a record that was judged.

    Args:
        verdict: what it is.
        forgotten: who and what must not be stored again.

    Returns:
        The same where it names nobody, and no place, that was to be forgotten.
    """
    if isinstance(verdict, ClickEvent) and (kept := forgotten.click(verdict.record)):
        return verdict._replace(record=kept, text=canonical(kept))
    if isinstance(verdict, Sample) and forgotten.covers(verdict.truck_id, verdict.sampled_at):
        return verdict._replace(text=without_position(verdict.text))
    if isinstance(verdict, Refusal):
        return replace(verdict, letter=replace(verdict.letter, payload=forgotten.letter(verdict.letter.payload)))
    return verdict


def _from_file(item: Item) -> bool:
    return item.loaded or item.source.startswith("file:")


def _receipt(new: bool, identity: str | int | None, warnings: Mapping[str, str] = NO_WARNINGS) -> Receipt:
    return Receipt("accepted" if new else "duplicate", identity, None, None, warnings)
