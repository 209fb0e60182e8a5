"""From samples and now to alerts: pure, and the same in whatever order samples came."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from alerts.rules import Rule
from contract import timestamps
from contract.records import at

_UNOBSERVED_MS = 10 * 60_000
"""What nobody saw for longer than this is not taken to have gone on."""
_ENGINE = "engine_diagnostics.engine_rpm"

Sample = Mapping[str, Any]
"""A sample's document as `milepost history` shows it, with `sampled_at`."""


class Alert(NamedTuple):
    """One alert.

    id: a hash of rule, subject and start. start, end: RFC 3339; end is None while it goes on. evidence: what was seen
    first, in words.
    """

    id: str
    rule: str
    title: str
    severity: str
    subject: str
    start: str
    end: str | None
    evidence: str


class _Stretch(NamedTuple):
    first: str
    last: str
    ended: str | None
    evidence: str


def evaluate(rule: Rule, fleet: Mapping[str, Sequence[Sample]], *, now: str) -> list[Alert]:
    """The alerts of one rule, by start and subject.

    Args:
        rule: what is watched.
        fleet: truck_id → its samples, in any order.
        now: RFC 3339; what was sampled later is left out.
    """
    seen = {
        truck_id: sorted((each for each in samples if each["sampled_at"] <= now), key=lambda each: each["sampled_at"])
        for truck_id, samples in fleet.items()
    }
    found = _silences(rule, seen, now) if rule.kind == "silent" else _conditions(rule, seen, now)
    return sorted(found, key=lambda alert: (alert.start, alert.subject, alert.evidence))


def _conditions(rule: Rule, fleet: Mapping[str, Sequence[Sample]], now: str) -> list[Alert]:
    found = []
    for truck_id, samples in fleet.items():
        for name, values in _watched(rule, samples):
            found += [_alert(rule, truck_id, each, name) for each in _stretches(values, now) if _lasts(each, rule)]
    return found


def _watched(rule: Rule, samples: Sequence[Sample]) -> list[tuple[str, list[tuple[str, str | bool | None]]]]:
    """What is watched of a truck, each under its name: the condition, or each fault code that ever was active."""
    if rule.kind != "fault":
        return [("", [(each["sampled_at"], _holds(each, rule)) for each in samples])]
    codes = sorted({code for sample in samples for code in _codes(sample, rule) or ()})
    return [(f"fault {code}", [(each["sampled_at"], _has(each, rule, code)) for each in samples]) for code in codes]


def _stretches(values: Sequence[tuple[str, str | bool | None]], now: str) -> list[_Stretch]:
    """Where it held: evidence or True holds, False ends it, None (not known) neither begins nor ends it."""
    found: list[_Stretch] = []
    first, last, evidence = "", "", ""
    for when, value in values:
        if first and _apart(last, when) > _UNOBSERVED_MS:
            found.append(_Stretch(first, last, last, evidence))
            first = ""
        if value is None:
            continue
        if value is False:
            if first:
                found.append(_Stretch(first, last, when, evidence))
            first = ""
            continue
        if not first:
            first, evidence = when, value if isinstance(value, str) else ""
        last = when
    if first:
        over = _apart(last, now) > _UNOBSERVED_MS
        found.append(_Stretch(first, last, last if over else None, evidence))
    return found


def _lasts(stretch: _Stretch, rule: Rule) -> bool:
    return _apart(stretch.first, stretch.last) >= rule.minutes * 60_000


def _holds(sample: Sample, rule: Rule) -> str | bool | None:
    if rule.while_running and not (at(dict(sample), _ENGINE) or 0):
        return False
    value = at(dict(sample), rule.field or "")
    if value is None:
        return None
    if rule.kind == "words":
        return str(value) if any(word in str(value).lower() for word in rule.words) else False
    bound = rule.value or 0
    return f"{value:g}" if (value > bound if rule.kind == "above" else value < bound) else False


def _codes(sample: Sample, rule: Rule) -> list[str] | None:
    faults = at(dict(sample), rule.field or "")
    return None if faults is None else [f"{fault['spn']}/{fault['fmi']}" for fault in faults]


def _has(sample: Sample, rule: Rule, code: str) -> bool | None:
    codes = _codes(sample, rule)
    return None if codes is None else code in codes


def _silences(rule: Rule, fleet: Mapping[str, Sequence[Sample]], now: str) -> list[Alert]:
    """A truck is silent only while another one is heard: else it is the line or the collector that is away."""
    bound_ms = rule.minutes * 60_000
    found = []
    for truck_id, samples in fleet.items():
        others = sorted(each["sampled_at"] for other, theirs in fleet.items() if other != truck_id for each in theirs)
        heard = [each["sampled_at"] for each in samples]
        for start, end in zip(heard, [*heard[1:], None], strict=False):
            until = end or now
            told = [instant for instant in others if start < instant < until and _apart(start, instant) >= bound_ms]
            if told:
                found.append(_alert(rule, truck_id, _Stretch(start, until, end, ""), ""))
    return found


def _alert(rule: Rule, subject: str, stretch: _Stretch, name: str) -> Alert:
    evidence = " ".join(part for part in (name, stretch.evidence) if part)
    identity = hashlib.sha256("\0".join((rule.name, subject, name, stretch.first)).encode()).hexdigest()[:16]
    return Alert(identity, rule.name, rule.title, rule.severity, subject, stretch.first, stretch.ended, evidence)


def _apart(earlier: str, later: str) -> int:
    return timestamps.to_ms(later) - timestamps.to_ms(earlier)
