"""Writing the DynamoDB store: the protocol that the package's docstring states."""

import random
import threading
import time
from collections import Counter as Tally
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

from collector.history import Point, Version
from collector.rows import Counter, DeadLetter, StoredClick, StoredSample
from collector.stores import Change, Conflict, TruckHead
from collector.stores.dynamodb import click_counters, click_index, earlier_receipts, items, seen_versions, transactions
from collector.stores.dynamodb.alerts import DynamoDbAlerts
from collector.stores.dynamodb.items import DAY_MS, Item, number, part_key, sample_key, text
from collector.stores.dynamodb.reader import POLICY, STATUS, DynamoDbReader
from collector.stores.dynamodb.retries import Calls, ConditionFailed
from collector.stores.dynamodb.seen_versions import Seen
from collector.stores.dynamodb.truck_heads import HEAD, Written, kept_of, read_head, write_head
from contract.errors import Retryable

_LIKELY_POINTS = 40
_MOST_ITEMS = 90
_FEWEST_VERSIONS = 6


class DynamoDbStore(DynamoDbAlerts, DynamoDbReader):
    """The `Store` on the tables of a prefix, which must be there. Use it from one thread at a time.

    writers: how many samples are put at once. The rest is as for DynamoDbReader.
    """

    chunk = 30
    read_on = 0
    """Each is paid for."""
    most_versions: int | None = 88
    """With the head and a ledger 90 items; lower for a chunk that has more ledgers, or samples too large for that."""
    too_late_ms: int | None = 35 * DAY_MS
    clicks_too_old_ms: int | None = 13 * DAY_MS
    """A day less than identities live: DynamoDB deletes late, never early."""

    def __init__(
        self, prefix: str, client: Any = None, *, clock: Callable[[], float] = time.time, calls: Calls | None = None,
        writers: int = 8,
    ) -> None:  # fmt: skip
        super().__init__(prefix, client, clock=clock, calls=calls)
        self._writers = writers
        self._pool: ThreadPoolExecutor | None = None
        self._guard = threading.Lock()
        self._seen: dict[str, Seen] = {}
        """truck_id → versions read since its head was."""
        self._bodies: dict[str, dict[str, Item]] = {}
        """truck_id → bodies of the samples of the last chunk that were new, until another writer was first."""
        self._read: dict[str, dict[str, tuple[str, Item]]] = {}
        """truck_id → order key → table and body, of samples that were read since its head was."""
        self._earlier: dict[str, dict[str, int]] = {}
        """truck_id → order key → receipt, of stored samples that came again with an earlier one."""
        self._sizes: dict[str, dict[str, int]] = {}
        """truck_id → order key → bytes of the versions read since its head was, and of those written since."""
        self._lowered_from: int | None = None
        """What `most_versions` is but for the chunk at hand."""

    @property
    def seconds_left(self) -> Callable[[], float]:
        """How long a call may still wait for a DynamoDB that says "later"."""
        return self._calls.seconds_left

    @seconds_left.setter
    def seconds_left(self, left: Callable[[], float]) -> None:
        self._calls.seconds_left = left

    def close(self) -> None:
        if self._pool:
            self._pool.shutdown()

    @contextmanager
    def unit(self) -> Iterator[None]:
        """Every call is durable when it returns; nothing is undone."""
        yield

    def now_ms(self) -> int:
        return int(self._clock() * 1000)

    def remember_policy(self, policy: str) -> None:
        if self.policy() is None:  # a new store: all that it will hold is in the index
            self._days.set_indexed()
        self._calls("put_item", TableName=self._tables["trucks"], Item={**part_key(*POLICY), "text": text(policy)})

    # -- samples

    def claim(self, truck_id: str, contents: Mapping[str, str]) -> dict[str, str]:
        """The order key that each estimated content is known under: the given one where it is new."""
        places = self._each(list(contents.items()), lambda pair: self._claim(truck_id, *pair))
        return dict(zip(contents, places, strict=True))

    def _claim(self, truck_id: str, content: str, order_key: str) -> str:
        item = items.claim_item(truck_id, content, order_key, now_ms=int(self._clock() * 1000))
        condition = {
            "ConditionExpression": "attribute_not_exists(#id) OR #expires <= :now",
            "ExpressionAttributeNames": {"#id": "truck_id", "#expires": "expires"},
            "ExpressionAttributeValues": {":now": number(int(self._clock()))},
        }
        try:
            self._calls("put_item", TableName=self._tables["samples"], Item=item, **condition)
        except ConditionFailed:
            key = {name: item[name] for name in ("truck_id", "order_key")}
            known = self._get("samples", key)
            if known is None:
                raise Retryable(f"truck {truck_id}: a claim expired just now; try again") from None
            place: str = known["place"]["S"]
            return place
        return order_key

    def has_samples(self, truck_id: str, order_keys: Sequence[str]) -> set[str]:
        """Which of these order keys are stored."""
        keys = [sample_key(truck_id, order_key) for order_key in dict.fromkeys(order_keys)]
        found = self._calls.batch_get(self._tables["samples"], keys)
        return {item["order_key"]["S"] for item in found if self._lives(item)}

    def put_samples(self, truck_id: str, samples: Sequence[StoredSample]) -> list[bool]:
        """True for each that was not there. All are put when it returns; if it raises, some may be."""
        self.most_versions, self._lowered_from = self._lowered_from or self.most_versions, None
        first = earlier_receipts.first_of_each(samples)
        made = {order_key: items.sample_item(truck_id, sample) for order_key, sample in first.items()}
        stored = dict(zip(made, self._each(list(made.values()), self._put_sample), strict=True))
        fresh = {place: was is None for place, was in stored.items()}
        # Of one that was there it is the stored body that counts: it says when it was first received.
        self._bodies = {truck_id: {place: items.body_of(made[place]) for place, new in fresh.items() if new}}
        self._earlier = {truck_id: earlier_receipts.earlier(first, stored)}
        return [fresh.pop(sample.order_key, False) for sample in samples]

    def _put_sample(self, item: Item) -> int | None:
        """When the one that was there was received, Unix ms; None where there was none."""
        try:
            self._calls("put_item", TableName=self._tables["samples"], Item=item, **earlier_receipts.NEW_OR_SAY)
        except ConditionFailed as known:
            return earlier_receipts.received_ms(known)
        return None

    def put_keys(self, truck_id: str, keys: Mapping[str, str]) -> None:
        """Change the tracked keys of stored samples (order key → key)."""
        table = self._tables["samples"]
        changes = [transactions.set_key(table, truck_id, order_key, key) for order_key, key in keys.items()]
        self._each(changes, self._update_if_there)

    def _update_if_there(self, update: Item) -> None:
        try:
            self._calls("update_item", **update)
        except ConditionFailed:
            return  # it has expired meanwhile

    def _each(self, inputs: Sequence[Any], act: Callable[[Any], Any]) -> list[Any]:
        """What `act` gives for each, some at a time; all are done, or tried, when it returns or raises."""
        if self._writers == 1 or len(inputs) < 2:
            return [act(each) for each in inputs]
        with self._guard:
            _ = self._calls.client  # built here, not by several threads at once
            self._pool = self._pool or ThreadPoolExecutor(self._writers, thread_name_prefix="dynamodb")
        done = [self._pool.submit(act, each) for each in inputs]
        faults = [fault for fault in (each.exception() for each in done) if fault]
        if faults:
            raise faults[0]
        return [each.result() for each in done]

    # -- a truck's head, versions and ledgers

    def head(self, truck_id: str, streams: Collection[str] = ()) -> TruckHead:
        """The fence and, read with it, the ledgers of some streams. What is read after it belongs to it."""
        item = self._get("trucks", part_key(truck_id, HEAD))
        self._seen[truck_id] = Seen(item["current"]["S"] if item and "current" in item else None)
        self._sizes = {truck_id: {}}
        self._bodies.pop(truck_id, None)  # a rival may have given what this process put an earlier receipt
        self._read = {truck_id: {}}
        inline = item["ledgers"]["M"] if item else {}
        asked = {each: self._ledger_item(truck_id, each) for each in streams if each not in inline}
        return read_head(item, {stream_id: each for stream_id, each in asked.items() if each}, streams)

    def version_before(self, truck_id: str, order_key: str) -> Version | None:
        """The last version that opened before an order key; where it ends is not looked up."""
        found = self._last_before("truck_history", truck_id, order_key)
        if found:
            self._sizes.setdefault(truck_id, {})[found["order_key"]["S"]] = items.size(found)
        self._seen.setdefault(truck_id, Seen()).before[order_key] = found
        return items.read_version(found, None) if found else None

    def versions_from(self, truck_id: str, order_key: str) -> Iterator[Version]:
        """The versions that open at an order key and after it, ascending, read as they are asked for.

        What stands before them is confirmed with them where `version_before` of the same order key was asked for.
        """
        pairs = items.with_following(self._range("truck_history", truck_id, order_key, first=3))
        before = self._seen.setdefault(truck_id, Seen()).before
        if order_key not in before:
            return (items.read_version(item, following) for item, following in pairs)
        return self._noted(truck_id, before[order_key], pairs)

    def _noted(
        self, truck_id: str, before: Item | None, pairs: Iterator[tuple[Item, Item | None]]
    ) -> Iterator[Version]:
        seen = self._seen.setdefault(truck_id, Seen())
        for item, following in pairs:
            seen.follows(before, item)
            self._sizes.setdefault(truck_id, {})[item["order_key"]["S"]] = items.size(item)
            before = item
            yield items.read_version(item, following)
        seen.follows(before, None)

    def points_from(self, truck_id: str, order_key: str) -> Iterator[Point]:
        """The stored samples at an order key and after it, ascending, read as they are asked for."""
        for item in self._samples(truck_id, order_key, first=_LIKELY_POINTS):
            point = Point(item["order_key"]["S"], items.tracked_key(item))
            self._read.setdefault(truck_id, {})[point.order_key] = "samples", items.body_of(item)
            yield point

    def apply(self, truck_id: str, read: TruckHead, change: Change) -> TruckHead:
        """Apply what was planned with `read`, and bump `rev`, in one act.

        Raises Conflict if the head has changed since, or if a version that was read was half-way to another state.
        """
        bodies = self._at_hand(truck_id, read, change)
        self._confirm(truck_id, read)
        read = self._receive_earlier(truck_id, read, bodies)
        history = self._tables["truck_history"]
        versions = transactions.version_acts(history, truck_id, change.steps, self._next_rev(read, change), bodies)
        return self._act(truck_id, read, change, bodies, versions)

    def _receive_earlier(self, truck_id: str, read: TruckHead, bodies: dict[str, Item]) -> TruckHead:
        """Give samples that came again with an earlier receipt that one, a few an act; the head as it is then.

        bodies: those at hand, which change with what is stored.
        """
        earlier = self._earlier.get(truck_id, {})
        while earlier:
            few = dict(list(earlier.items())[: earlier_receipts.AT_ONCE])
            acts = earlier_receipts.acts(self._calls, self._tables, truck_id, few, read.rev)
            if kept := kept_of(read).sample:
                bodies.setdefault(read.latest, kept)
            bodies |= earlier_receipts.changed(bodies, few)
            read = self._act(truck_id, read, Change(), bodies, acts) if acts else read
            for order_key in few:
                del earlier[order_key]
        return read

    def _act(
        self, truck_id: str, read: TruckHead, change: Change, bodies: Mapping[str, Item], others: Sequence[Item]
    ) -> TruckHead:
        """One act: the head, its ledgers, and other items; refused where the head has changed."""
        written = write_head(truck_id, read, change, rev=self._next_rev(read, change), bodies=bodies)
        ledgers = transactions.ledger_acts(self._tables["trucks"], truck_id, kept_of(read), written)
        transaction = [*others, *ledgers]
        self._see_that_it_fits(truck_id, transaction)
        try:
            self._write(written, transaction, read.rev)
        except ConditionFailed:
            raise Conflict(f"truck {truck_id} was changed by another writer: read it again") from None
        return written.head

    def _write(self, written: Written, others: Sequence[Item], rev: int) -> None:
        put = {"TableName": self._tables["trucks"], "Item": written.item, **transactions.at_rev(rev)}
        if others:
            self._calls("transact_write_items", TransactItems=[{"Put": put}, *others])
        else:
            self._calls("put_item", **put)

    def _see_that_it_fits(self, truck_id: str, transaction: Sequence[Item]) -> None:
        """Raises Conflict where it is more than one act may be; planned again, it comes in smaller parts."""
        weight = transactions.weigh(transaction, self._sizes.setdefault(truck_id, {}))
        fits = len(transaction) < _MOST_ITEMS and weight <= click_counters.MOST_BYTES
        if fits or self.most_versions is None or self.most_versions <= _FEWEST_VERSIONS:
            return
        self._lowered_from = self._lowered_from or self.most_versions
        self.most_versions = max(_FEWEST_VERSIONS, self.most_versions // 2)
        raise Conflict(f"truck {truck_id}: {len(transaction)} items of {weight} bytes are too much for one transaction")

    def _next_rev(self, read: TruckHead, change: Change) -> int:
        """Also where nothing but the ledger changes: a decision that changes nothing was made from something."""
        return read.rev + 1

    def _confirm(self, truck_id: str, read: TruckHead) -> None:
        """See that what a plan was made from is of its head: one snapshot, where queries are none."""
        seen_versions.confirm(self._calls, self._tables, truck_id, self._seen.pop(truck_id, Seen()), read.rev)

    def _at_hand(self, truck_id: str, read: TruckHead, change: Change) -> dict[str, Item]:
        """The bodies of the samples that open the versions to put, and of the latest; order key → body.

        Those that were read are confirmed with the versions: another writer may be giving them an earlier receipt.
        """
        openings = [version.order_key for version in change.steps.put]
        places = [*openings, change.latest] if change.latest > read.latest else openings
        own, known = self._bodies.get(truck_id, {}), self._read.setdefault(truck_id, {})
        for table in ("samples", "truck_history"):  # the sample may have expired, the version keeps it
            lacking = [place for place in dict.fromkeys(places) if place not in own and place not in known]
            stored = self._calls.batch_get(self._tables[table], [sample_key(truck_id, place) for place in lacking])
            known |= {item["order_key"]["S"]: (table, items.body_of(item)) for item in stored}
        if missing := [place for place in openings if place not in own and place not in known]:
            raise Retryable(f"truck {truck_id}: the sample {missing[0]} is not there any more; try again")
        used = {place: known[place] for place in places if place in known and place not in own}
        seen = self._seen.setdefault(truck_id, Seen())
        for place, (table, body) in used.items():
            seen.received(table, place, body)
        return {**own, **{place: body for place, (_, body) in used.items()}}

    def put_status(self, truck_id: str, said: str) -> None:
        self._calls(
            "put_item", TableName=self._tables["trucks"], Item={**part_key(truck_id, STATUS), "text": text(said)}
        )

    # -- clicks and dead letters

    def put_clicks(self, clicks: Sequence[StoredClick]) -> list[bool]:
        """True for each event that was not there; exactly those are counted."""
        first: dict[str, StoredClick] = {}
        for click in clicks:
            first.setdefault(click.event_id, click)
        names = (self._tables["clicks"], self._tables["click_counts"])
        fresh: set[str] = set()
        self._days.note(clicks)
        for batch in click_counters.batches(list(first.values()), self.now_ms()):
            fresh |= click_counters.count_batch(
                self._calls, names, batch, lambda: random.randrange(click_counters.SHARDS)
            )
        said = []
        for click in clicks:
            said.append(click.event_id in fresh)
            fresh.discard(click.event_id)
        known = [click for click, new in zip(clicks, said, strict=True) if not new]
        shard = lambda: random.randrange(click_counters.SHARDS)  # noqa: E731
        click_counters.settle_rivals(self._calls, names, known, shard, now_ms=self.now_ms())
        return said

    def clicks_kept_from(self) -> str:
        """ "": an event's age is judged by `clicks_too_old_ms`."""
        return ""

    def drop_clicks(self, before: str, at_most: int) -> int:
        """0: events expire by themselves."""
        del before, at_most
        return 0

    def put_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Keep each; one that is already there is counted, once for each delivery that has a name."""
        table = self._tables["dead_letters"]
        for letter in letters:
            first, *rest = items.letter_items(letter)
            for item in rest:
                self._calls("put_item", TableName=table, Item=item)
            try:
                self._add(transactions.keep_and_count(table, first, letter.delivery))
            except ConditionFailed:
                self._count_letter(table, first, letter.delivery)

    def _count_letter(self, table: str, first: Item, delivery: str) -> None:
        """Count a delivery of a letter of which as many are remembered as may be, if it is none of them."""
        known = self._get("dead_letters", {"id": first["id"], "part": first["part"]})
        if known and delivery not in known["counted"]["SS"]:
            with suppress(ConditionFailed):  # a rival made room: this one delivery may stay uncounted
                self._add(transactions.keep_and_count(table, first, delivery, forget=True))

    def _add(self, update: Item) -> None:
        """An update that adds, once: a transaction carries a token, so that it may be retried after a lost answer."""
        self._calls("transact_write_items", TransactItems=[{"Update": update}])

    def remove_dead_letter(self, id: str) -> None:
        item = self._get("dead_letters", {"id": text(id), "part": number(0)})
        for part in range(int(item["parts"]["N"]) if item else 0):
            self._calls(
                "delete_item", TableName=self._tables["dead_letters"], Key={"id": text(id), "part": number(part)}
            )

    def replace_click_counts(self) -> None:
        """Count the retained events anew, minute by minute where all of a minute's are retained; stop writers first."""
        click_index.put_older(self._calls, self._tables, self._scan, self._days)
        oldest = self.recountable_from()
        counts: Tally[Counter] = Tally()
        bots: Tally[Counter] = Tally()
        for item in self._scan("click_counts"):
            counter, count, robots = click_counters.read_counter(item)
            counts[counter] -= count
            bots[counter] -= robots
        for click in self.clicks():
            counts[click.counter] += click.count
            bots[click.counter] += click.count * click.is_bot
        for counter in counts:
            sums = counts[counter], bots[counter]
            if any(sums) and counter.minute >= oldest:
                self._add(click_counters.addition(self._tables["click_counts"], counter, sums, shard=0))
