"""What an alert is, and how it gets its id."""

import hashlib
from typing import NamedTuple

from alerts.rules import Rule


class Stretch(NamedTuple):
    """A time in which a rule's condition held.

    name: which of several things the rule watches (a fault code, a wheel), "" where there is one. first, last: RFC
    3339, when it was first and last seen. ended: when it was over, None while it goes on. seen: `(instant, value)` of
    the first samples and of the last one.
    """

    name: str
    first: str
    last: str
    ended: str | None
    seen: tuple[tuple[str, str], ...] = ()


class Alert(NamedTuple):
    """One alert.

    id: a hash of rule, subject, name and start. start, end: RFC 3339; end is None while it goes on. evidence: what was
    seen first, in words. name, samples: as `Stretch` has them.
    """

    id: str
    rule: str
    title: str
    severity: str
    subject: str
    start: str
    end: str | None
    evidence: str
    kind: str = ""
    name: str = ""
    samples: tuple[tuple[str, str], ...] = ()


def alert_of(rule: Rule, subject: str, stretch: Stretch) -> Alert:
    """The alert of a stretch."""
    value = stretch.seen[0][1] if stretch.seen else ""
    between = ", " if rule.kind == "fault" else " "  # of a code what is seen is what it says in words
    return Alert(
        _identity(rule.name, subject, stretch.name, stretch.first),
        rule.name,
        rule.title,
        rule.severity,
        subject,
        stretch.first,
        stretch.ended,
        between.join(part for part in (stretch.name, value) if part),
        rule.kind,
        stretch.name,
        stretch.seen,
    )


def _identity(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
