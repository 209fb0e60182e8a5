"""Judges what is no truck's sample, once in a while: refusals, losses, orders, certificates, conversion, quality."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from alerts import facts
from alerts.alert import Stretch, alert_of
from alerts.evaluation import Evaluation
from alerts.keeping import KEPT_MS
from alerts.queries import kept_alerts
from alerts.rules import Rule
from collector import queries
from collector.stores import Reader
from contract import timestamps

INSTALLATION = "installation"
"""The subject of what concerns no truck and no order."""

SHOP = "shop"
"""The subject of what concerns the shop as a whole."""

_MOST_KEPT = 1_000_000
_SESSIONS_EVERY_MS = 600_000
SESSIONS_BACK_MS = 14 * 86_400_000
"""How far back conversion is judged anew, since sessions may come late."""


def _none(*_: Any) -> Iterable[Any]:
    return ()


class FactSources(NamedTuple):
    """What is asked for at each step beside the store.

    orders: given order_ids whose alerts go on → the states of those and of the newest orders, as
    commerce.queries.order_list gives them. certificates: of every truck, also those that were replaced or revoked.
    quality: the rows of mart `quality_run`; none where there is no warehouse that can be read: what was found stays.
    """

    orders: Callable[[Sequence[str]], Iterable[Mapping[str, Any]]] = _none
    certificates: Callable[[], Iterable[facts.IssuedCertificate]] = _none
    quality: Callable[[], Iterable[Mapping[str, Any]]] = _none


class FactWatch:
    """Use it from the evaluation's thread.

    Args:
        rules: that are in force; those of other kinds are left to others.
        evaluation: writes what changed, and tells it.
        sources: what else is asked.
        sessions_back_ms: how far back conversion is judged anew; the store must keep a week and the rule's window more.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        evaluation: Evaluation,
        sources: FactSources,
        *,
        sessions_back_ms: int = SESSIONS_BACK_MS,
    ) -> None:
        self._rules, self._evaluation, self._sources = rules, evaluation, sources
        self._sessions_back_ms = sessions_back_ms
        self._sessions_due_ms = 0
        self._before: dict[tuple[str, str | None, int], str] = {}
        self._subjects: dict[str, set[str]] = {}
        self._going_on: dict[str, set[str]] = {}
        self._stretches: dict[str, dict[str, list[Stretch]]] = {}

    def step(self, reader: Reader, now_ms: int) -> None:
        """Judge everything anew; sessions every ten minutes.

        Args:
            reader: of the store.
            now_ms: Unix ms.

        Raises:
            Conflict, Retryable: of the store; the next step does it again.
        """
        for rule in self._rules:
            if rule.kind == "dead_letters":
                found = {INSTALLATION: self._refused(reader, rule, now_ms)}
            elif rule.kind == "lost_samples":
                found = self._lost(reader, now_ms)
            elif rule.kind == "late_order":
                found = self._late(reader, rule, now_ms)
            elif rule.kind == "certificate":
                found = facts.expiring(rule, self._sources.certificates(), timestamps.from_ms(now_ms))
            elif rule.kind == "quality":
                found = self._failing(reader, rule, now_ms)
            else:
                continue
            self._replace(reader, rule, found, now_ms)
        if now_ms >= self._sessions_due_ms:
            self._judge_sessions(reader, now_ms)
            self._sessions_due_ms = now_ms + _SESSIONS_EVERY_MS

    def _refused(self, reader: Reader, rule: Rule, now_ms: int) -> list[Stretch]:
        """Records that were retried or discarded are gone, and yet were refused."""
        times = [timestamps.to_ms(letter["received_at"]) for letter in queries.dead_letters(reader)]
        before = self._before_now(reader, rule, now_ms).get(INSTALLATION, [])
        found = facts.still_refused(facts.refused_too_often(rule, times, now_ms), before, now_ms)
        self._stretches[rule.name] = {INSTALLATION: found}
        return found

    def _failing(self, reader: Reader, rule: Rule, now_ms: int) -> dict[str, list[Stretch]]:
        """The mart says nothing of the runs before its own."""
        before = self._before_now(reader, rule, now_ms)
        self._stretches[rule.name] = facts.failing([*self._sources.quality()], before)
        return self._stretches[rule.name]

    def _before_now(self, reader: Reader, rule: Rule, now_ms: int) -> dict[str, list[Stretch]]:
        """Subject → what was found last time, by this process or, as the table of alerts has it, by the one before."""
        if rule.name not in self._stretches:
            self._stretches[rule.name] = _in_table(reader, rule)
        oldest = timestamps.from_ms(now_ms - KEPT_MS)
        return {
            subject: [each for each in stretches if (each.ended or oldest) >= oldest]
            for subject, stretches in self._stretches[rule.name].items()
        }

    def _late(self, reader: Reader, rule: Rule, now_ms: int) -> dict[str, list[Stretch]]:
        """Of the orders that are listed: what is said of an order that is too old to be listed stays as it is."""
        if rule.name not in self._subjects:
            kept = _in_table(reader, rule)
            self._subjects[rule.name] = set(kept)
            self._going_on[rule.name] = {
                subject for subject, stretches in kept.items() if any(each.ended is None for each in stretches)
            }
        listed = [*self._sources.orders(sorted(self._going_on[rule.name]))]
        found = facts.late(rule, listed, timestamps.from_ms(now_ms))
        self._going_on[rule.name] = {subject for subject, [each] in found.items() if each.ended is None}
        self._subjects[rule.name] &= {str(each["order_id"]) for each in listed}
        return found

    def _judge_sessions(self, reader: Reader, now_ms: int) -> None:
        for rule in self._rules:
            if rule.kind == "conversion":
                first_ms = now_ms - self._sessions_back_ms
                since_ms = first_ms - facts.BASELINE_MS - round(rule.minutes * 60_000)
                parts = reader.session_parts(timestamps.from_ms(since_ms), timestamps.from_ms(now_ms), numbered=False)
                sessions = ((part.first, part.purchases > 0) for part in parts if not part.is_bot)
                found, known_from = facts.converting_less(rule, sessions, first_ms, now_ms)
                alerts = [alert_of(rule, SHOP, each) for each in found]
                self._evaluation.replace(reader, SHOP, alerts, {rule.name: known_from}, now_ms)

    def _replace(self, reader: Reader, rule: Rule, found: dict[str, list[Stretch]], now_ms: int) -> None:
        known = self._subjects.setdefault(rule.name, set())
        for subject in sorted(known | set(found)):
            alerts = [alert_of(rule, subject, each) for each in found.get(subject, ())]
            self._evaluation.replace(reader, subject, alerts, {rule.name: ""}, now_ms)
        self._subjects[rule.name] = set(found)

    def _lost(self, reader: Reader, now_ms: int) -> dict[str, list[Stretch]]:
        found: dict[str, list[Stretch]] = {}
        for row in queries.audit(reader, now_ms=now_ms, grace_ms=0)["trucks"]:
            if row["gone"]:
                before = self._instants(reader, row["truck_id"], row["stream_id"], [each[0] for each in row["gone"]])
                found.setdefault(row["truck_id"], []).extend(facts.lost(row["stream_id"], row["gone"], before))
        return found

    def _instants(self, reader: Reader, truck_id: str, stream_id: str | None, firsts: Sequence[int]) -> dict[int, str]:
        """first lost number → the instant of the last sample before it; a truck's samples are read when one is new."""
        if any((truck_id, stream_id, first) not in self._before for first in firsts):
            numbered = [
                (sample.seq or 0, sample.order_key.partition("#")[0])
                for sample in reader.samples(truck_id)
                if sample.stream_id == stream_id
            ]
            for first in firsts:
                earlier = [each for each in numbered if each[0] < first]
                instant = max(earlier)[1] if earlier else min(numbered, default=(0, ""))[1]
                if instant:
                    self._before[truck_id, stream_id, first] = instant
        known = {first: self._before.get((truck_id, stream_id, first)) for first in firsts}
        return {first: instant for first, instant in known.items() if instant}


def _in_table(reader: Reader, rule: Rule) -> dict[str, list[Stretch]]:
    """Subject → what the table of alerts has of a rule, by start."""
    found: dict[str, list[Stretch]] = {}
    for each in sorted(kept_alerts(reader, most=_MOST_KEPT), key=lambda row: row["start"]):
        if each["rule"] == rule.name:
            last = each["samples"][-1][0] if each["samples"] else each["start"]
            stretch = Stretch(each["name"], each["start"], last, each["end"], each["samples"])
            found.setdefault(each["subject"], []).append(stretch)
    return found
