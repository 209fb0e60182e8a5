"""Keeps the table of alerts true while data come: reads what was stored since, judges it, writes what changed.

Alerts are a function of the samples, so everything here may be repeated: the store's mark of what was judged is written
after the alerts that it led to, and a kill in between only means that some of it is judged again.
"""

import time
from collections.abc import Iterable, Sequence
from typing import Any

from alerts import keeping, outbox
from alerts.alert import Alert
from alerts.engine import Ordered, TruckWatch
from alerts.look_back import watched
from alerts.rules import ZONE_KINDS, Rule
from alerts.settings import Receiver
from alerts.silence import HeardMinutes
from alerts.threads import Told
from alerts.writing import Writing
from collector import queries
from collector.rows import AlertChange, OutboxMessage
from collector.stores import Reader
from contract import timestamps
from contract.codec import dump, parse

SELF = "~evaluation"
"""The subject under which the mark is kept: no truck can be called so."""
_LOOK_BACK_MS = 86_400_000
_HEARD_KEPT_MS = 40 * _LOOK_BACK_MS
_SECONDS_A_STEP = 0.5
_SECONDS_BETWEEN_MARKS = 10.0
_LATEST = "9999-12-31T23:59:59.999Z"  # also what a clock that is ahead has sent


class Evaluation:
    """Use it from one thread; several processes may each have one, since changes are fenced.

    Args:
        rules: that are in force.
        receivers: who is told.
        write: see `Writing`.
    """

    def __init__(self, rules: Sequence[Rule], receivers: Sequence[Receiver], write: Writing) -> None:
        self._rules, self._receivers, self._write = rules, receivers, write
        self._watches: dict[str, TruckWatch] = {}
        self._known: dict[tuple[str, frozenset[str]], list[Alert]] = {}
        self._heard = HeardMinutes()
        self._mark: str | None = None
        self._kept = ""
        self._is_loaded = False
        self._keep_due = 0.0
        self._since: dict[str, str] = {}

    def use(self, rules: Sequence[Rule]) -> None:
        """Judge by other rules from the next step on, as after a restart with them.

        Args:
            rules: that are in force from now on.
        """
        self._rules, self._is_loaded = rules, False

    def step(self, reader: Reader, now_ms: int) -> None:
        """Judge what came since the last step, for about half a second at most; what is left comes next.

        Args:
            reader: of the store.
            now_ms: Unix ms.

        Raises:
            Conflict, Retryable: of the store; the next step does it again.
        """
        if not self._is_loaded:
            self._load(reader, now_ms)
        touched = self._take_new(reader, now_ms)
        touched |= self._begin_watches(reader)
        touched |= {truck_id for truck_id, watch in self._watches.items() if watch.may_change(now_ms)}
        for truck_id in sorted(touched):
            watch = self._watches[truck_id]
            self.replace(reader, truck_id, watch.alerts(now_ms, self._heard), watch.scope, now_ms)
        if not self._since:
            self._keep(reader, now_ms)

    @property
    def is_caught_up(self) -> bool:
        """Whether the last step judged everything that was stored before it."""
        return self._is_loaded and not self._since

    def replace(self, reader: Reader, subject: str, alerts: list[Alert], scope: keeping.Scope, now_ms: int) -> None:
        """Write what changed of a subject's alerts, and what is to be told of it.

        Args:
            reader: of the store.
            subject: whose.
            alerts: of the rules in scope.
            scope: rule → the instant from which on its alerts are all in `alerts`.
            now_ms: Unix ms.
        """
        known_as = (subject, frozenset(scope))
        if self._known.get(known_as) == alerts:
            return
        revision = reader.alert_revision(subject)
        for change in keeping.changes(
            subject,
            revision,
            reader.alert_rows(subject),
            alerts,
            scope=scope,
            enqueue=self._enqueue,
            now_ms=now_ms,
        ):
            self._write(lambda store, change=change: store.change_alerts(change))  # type: ignore[misc]
        self._known[known_as] = alerts

    def _enqueue(self, told: Told, now_ms: int) -> list[OutboxMessage]:
        return outbox.messages(self._receivers, told, now_ms)

    def _load(self, reader: Reader, now_ms: int) -> None:
        kept = {row.key: row.text for row in reader.alert_rows(SELF)}
        document: Any = parse(kept["state"]) if "state" in kept else {}
        self._kept = kept.get("state", "")
        self._mark = document.get("mark")
        self._heard = HeardMinutes((first, last) for first, last in document.get("heard", ()))
        self._judge_all_again(reader, now_ms if self._mark else now_ms - _LOOK_BACK_MS)
        for alert in keeping.alerts_in(reader.alert_rows()).values():
            if alert.subject in self._since and alert.end is None and alert.kind in ZONE_KINDS:
                self._judge_from(alert.subject, alert.start)  # a zone that is gone now ends or takes back what it held
        self._is_loaded = True

    def _judge_all_again(self, reader: Reader, since_ms: int) -> None:
        since = timestamps.from_ms(since_ms)
        for truck_id in reader.truck_ids():
            self._judge_from(truck_id, since)

    def _judge_from(self, truck_id: str, since: str) -> None:
        self._since[truck_id] = min(since, self._since.get(truck_id, since))

    def _take_new(self, reader: Reader, now_ms: int) -> set[str]:
        received = queries.samples_received(reader, self._mark)
        if received.whole:  # the first time ever, or a store that was put in another's place
            self._judge_all_again(reader, now_ms - _LOOK_BACK_MS)
            self._mark = received.mark
            return set()
        touched: set[str] = set()
        heard_late = False
        for truck_id, samples in _by_truck(received.rows).items():
            for _, sample in samples:
                heard_late |= self._heard.add(timestamps.to_ms(sample["sampled_at"]))
            watch = self._watches.get(truck_id)
            first = min(order_key for order_key, _ in samples)
            if watch and first > watch.through and truck_id not in self._since:
                watch.add(samples)
                touched.add(truck_id)
                if watch.is_long:
                    self._judge_from(truck_id, timestamps.from_ms(now_ms))
            else:
                self._judge_from(truck_id, min(sample["sampled_at"] for _, sample in samples))
        self._mark = received.mark
        return set(self._watches) if heard_late else touched

    def _begin_watches(self, reader: Reader) -> set[str]:
        """New trucks, and those of which something came late: their watch begins before it."""
        until = time.monotonic() + _SECONDS_A_STEP
        begun: set[str] = set()
        for truck_id in [*self._since]:
            if time.monotonic() > until:
                break
            since = self._since.pop(truck_id)
            self._watches[truck_id] = watched(
                reader, self._rules, truck_id, since=since, now=_LATEST, heard=self._heard
            )
            self._known.pop((truck_id, frozenset(self._watches[truck_id].scope)), None)
            begun.add(truck_id)
        return begun

    def _keep(self, reader: Reader, now_ms: int) -> None:
        if time.monotonic() < self._keep_due:
            return
        self._keep_due = time.monotonic() + _SECONDS_BETWEEN_MARKS
        self._heard.forget_before(now_ms - _HEARD_KEPT_MS)
        state = dump({"mark": self._mark, "heard": [list(each) for each in self._heard.ranges]})
        if state != self._kept:
            change = AlertChange(SELF, reader.alert_revision(SELF), {"state": state})
            self._write(lambda store: store.change_alerts(change))
            self._kept = state


def _by_truck(rows: Iterable[tuple[str, Any]]) -> dict[str, list[Ordered]]:
    found: dict[str, list[Ordered]] = {}
    for truck_id, sample in rows:
        found.setdefault(truck_id, []).append((sample.order_key, queries.whole(sample)))
    return found
