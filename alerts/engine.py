"""From samples and now to alerts: pure, and the same whatever the order of samples and the period."""

from collections.abc import Iterable, Mapping, Sequence

from alerts.alert import Alert, Stretch, alert_of
from alerts.rules import SAMPLE_KINDS, Rule
from alerts.sample_watch import Sample, watch_of
from alerts.silence import HeardMinutes, SilenceWatch
from contract import timestamps

_MOST_REMEMBERED = 300

Ordered = tuple[str, Sample]
"""A sample's order key (docs/history.md), and its document as `milepost history` shows it."""


class TruckWatch:
    """All rules over one truck's samples, each taken once, in the order of history.

    Args:
        rules: those of kinds that are judged by samples are watched; others are left to others.
        truck_id: the truck.
        begin_ms: Unix ms from which on samples are fed; None for its whole history.
    """

    def __init__(self, rules: Sequence[Rule], truck_id: str, begin_ms: int | None = None) -> None:
        self.truck_id = truck_id
        self.begin = "" if begin_ms is None else timestamps.from_ms(begin_ms)
        self.through = ""
        self._watches = [watch_of(rule, begin_ms) for rule in rules if rule.kind in SAMPLE_KINDS]
        self._silences = [(rule, SilenceWatch(rule.minutes)) for rule in rules if rule.kind == "silent"]

    def add(self, samples: Iterable[Ordered]) -> None:
        """Samples after all that were taken, in any order among themselves."""
        for order_key, sample in sorted(samples, key=lambda each: each[0]):
            if order_key <= self.through:
                continue
            self.through = order_key
            instant = sample["sampled_at"]
            ms = timestamps.to_ms(instant)
            for watch in self._watches:
                watch.add(instant, ms, sample)
            for _, silence in self._silences:
                silence.add(instant, ms)

    def is_anchored(self, since_ms: int) -> bool:
        """Whether whatever goes on at an instant (Unix ms) is known from its beginning."""
        return bool(self.through) and all(watch.is_anchored(since_ms) for watch in self._watches)

    @property
    def scope(self) -> dict[str, str]:
        """Rule → the instant from which on all its alerts are known: those that began before are not found here."""
        found = {watch.rule.name: watch.known_from for watch in self._watches}
        return {**found, **{rule.name: self.begin for rule, _ in self._silences}}

    @property
    def is_long(self) -> bool:
        """Whether it remembers more than it needs: one that begins later does the same."""
        return sum(watch.done for watch in self._watches) > _MOST_REMEMBERED

    def may_change(self, now_ms: int) -> bool:
        """Whether the passing of time alone may change its alerts."""
        return any(watch.is_open for watch in self._watches) or any(
            silence.silent_from_ms <= now_ms for _, silence in self._silences
        )

    def alerts(self, now_ms: int, heard: HeardMinutes) -> list[Alert]:
        """Its alerts, by start, rule and name. heard: when any truck of the fleet was heard."""
        found: list[tuple[Rule, Stretch]] = []
        for watch in self._watches:
            found += [(watch.rule, stretch) for stretch in watch.stretches(now_ms)]
        for rule, silence in self._silences:
            found += [(rule, stretch) for stretch in silence.stretches(heard, now_ms)]
        alerts = [alert_of(rule, self.truck_id, stretch) for rule, stretch in found]
        return sorted(alerts, key=in_order)


def evaluate(rules: Sequence[Rule], fleet: Mapping[str, Sequence[Ordered]], *, now: str) -> list[Alert]:
    """The alerts of a fleet's whole history, by start, subject, rule and name.

    Args:
        rules: what is watched.
        fleet: truck_id → its samples, in any order and any number of times.
        now: RFC 3339; what was sampled later is left out.
    """
    heard = HeardMinutes()
    watches = []
    for truck_id, samples in fleet.items():
        watch = TruckWatch(rules, truck_id)
        taken = [each for each in samples if each[1]["sampled_at"] <= now]
        watch.add(taken)
        watches.append(watch)
        for _, sample in taken:
            heard.add(timestamps.to_ms(sample["sampled_at"]))
    now_ms = timestamps.to_ms(now)
    return sorted((alert for watch in watches for alert in watch.alerts(now_ms, heard)), key=in_order)


def in_order(alert: Alert) -> tuple[str, str, str, str]:
    """The order in which alerts are listed."""
    return alert.start, alert.subject, alert.rule, alert.name
