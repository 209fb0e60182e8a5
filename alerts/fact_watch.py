"""Judges what is no truck's sample, once in a while: refused records, lost samples, late orders."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from alerts import facts
from alerts.alert import Stretch, alert_of
from alerts.evaluation import Evaluation
from alerts.rules import Rule
from collector import queries
from collector.stores import Reader
from contract import timestamps

INSTALLATION = "installation"
"""The subject of what concerns no truck and no order."""

Orders = Callable[[], Iterable[Mapping[str, Any]]]


class FactWatch:
    """Use it from the evaluation's thread.

    Args:
        rules: that are in force; those of other kinds are left to others.
        evaluation: writes what changed, and tells it.
        orders: the newest orders' states, as commerce.queries.order_list gives them.
    """

    def __init__(self, rules: Sequence[Rule], evaluation: Evaluation, orders: Orders) -> None:
        self._rules, self._evaluation, self._orders = rules, evaluation, orders
        self._before: dict[tuple[str, str | None, int], str] = {}
        self._subjects: dict[str, set[str]] = {}

    def step(self, reader: Reader, now_ms: int) -> None:
        """Judge everything anew.

        Raises:
            Conflict, Retryable: of the store; the next step does it again.
        """
        for rule in self._rules:
            if rule.kind == "dead_letters":
                times = [timestamps.to_ms(letter["received_at"]) for letter in queries.dead_letters(reader)]
                found = {INSTALLATION: facts.refused_too_often(rule, times, now_ms)}
            elif rule.kind == "lost_samples":
                found = self._lost(reader, now_ms)
            elif rule.kind == "late_order":
                found = facts.late(rule, self._orders(), timestamps.from_ms(now_ms))
            else:
                continue
            self._replace(reader, rule, found, now_ms)

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
