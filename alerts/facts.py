"""Alerts of what is no truck's sample: refusals, losses, orders, certificates, conversion, quality. Pure, as the rest.

Each is a function of the set of facts and of now: refusals by the time they came, lost numbers by the sample before
them, orders by what was promised and what became of it, certificates by when they were issued and end, conversion by
the sessions of each hour, quality by the runs of its rules that were seen.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from alerts.alert import Stretch
from alerts.rules import Rule
from contract import timestamps

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
BASELINE_MS = 7 * _DAY_MS
"""What conversion is held against: so long before the window."""
IssuedCertificate = tuple[str, str, str, str | None]
"""`(truck_id, issued_at, not_after, revoked_at)`, RFC 3339; revoked_at is None for one that is in force."""
_OPEN = frozenset({"placed", "packed", "loaded", "failed"})


def refused_too_often(rule: Rule, received_ms: Sequence[int], now_ms: int) -> list[Stretch]:
    """The times in which `value` records or more were refused within an hour.

    Args:
        rule: of kind `dead_letters`.
        received_ms: when each came, Unix ms, in any order.
        now_ms: Unix ms.
    """
    changes = sorted([(each, 1) for each in received_ms] + [(each + _HOUR_MS, -1) for each in received_ms])
    found: list[Stretch] = []
    count, first, most = 0, None, 0
    for ms, change in changes:
        if ms > now_ms:
            break
        count += change
        if first is None and count >= (rule.value or 0):
            first, most = ms, count
        elif first is not None and count < (rule.value or 0):
            found.append(_stretch("", first, ms, f"{most} within an hour"))
            first = None
        most = max(most, count)
    if first is not None:
        found.append(_stretch("", first, None, f"{most} within an hour"))
    return found


def still_refused(found: Sequence[Stretch], before: Sequence[Stretch], now_ms: int) -> list[Stretch]:
    """The times in which too much was refused, with those whose records have been retried or discarded since.

    Such a record was refused all the same: what was said of that time stays true, and is over where nothing goes on.

    Args:
        found: by `refused_too_often`, of the records that are there.
        before: what this returned last time.
        now_ms: Unix ms.
    """
    now = timestamps.from_ms(now_ms)
    merged = [*found]
    for was in before:
        met = [each for each in merged if each.first <= (was.ended or now) and was.first <= (each.ended or now)]
        if not met:
            merged.append(was._replace(ended=was.ended or now))
            continue
        begun = min([*met, was], key=lambda each: each.first)
        ends = [each.ended for each in met]
        ended = None if None in ends else max(each for each in (*ends, was.ended) if each)
        merged = [each for each in merged if each not in met] + [begun._replace(ended=ended)]
    return sorted(merged)


def lost(stream_id: str | None, gone: Sequence[Sequence[int]], before: Mapping[int, str]) -> list[Stretch]:
    """One for each range of a stream's numbers that are lost for certain.

    Args:
        stream_id: the stream.
        gone: `[[first, last]]`.
        before: first of a range → the instant of the last sample before it.
    """
    return [
        Stretch(stream_id or "", before[first], before[first], before[first], ((before[first], _numbers(first, last)),))
        for first, last in gone
        if first in before
    ]


def late(rule: Rule, orders: Iterable[Mapping[str, Any]], now: str) -> dict[str, list[Stretch]]:
    """order_id → since when it is late, and until when it was.

    Args:
        rule: of kind `late_order`; `minutes` after the promise it is late.
        orders: their states, as commerce.queries.order_list gives them.
        now: RFC 3339.
    """
    found: dict[str, list[Stretch]] = {}
    for order in orders:
        promised = order.get("promised_at")
        if not promised:
            continue
        due = timestamps.from_ms(timestamps.to_ms(promised) + round(rule.minutes * 60_000))
        is_open = order["state"] in _OPEN
        end = None if is_open else order.get("delivered_at") or due
        if (end or now) > due:
            said = f"promised for {promised}, {order['state']}"
            found[str(order["order_id"])] = [Stretch("", due, due, end, ((due, said),))]
    return found


def expiring(rule: Rule, certificates: Iterable[IssuedCertificate], now: str) -> dict[str, list[Stretch]]:
    """truck_id → since when its newest certificate was about to end, and until when: another one was issued, or it was
    revoked, as those of a retired truck are.

    Args:
        rule: of kind `certificate`; within `value` days of the end it is about to expire.
        certificates: of all trucks, also those that were replaced or revoked.
        now: RFC 3339.
    """
    found: dict[str, list[Stretch]] = {}
    newest: dict[str, IssuedCertificate] = {}
    for one in sorted(certificates, key=lambda each: each[1]):
        truck_id, issued_at, not_after, _ = one
        before = newest.get(truck_id)
        if before is None or not_after > before[2]:
            if before:
                _expiring(rule, found.setdefault(truck_id, []), before, issued_at, now)
            newest[truck_id] = one
    for truck_id, one in newest.items():
        _expiring(rule, found.setdefault(truck_id, []), one, None, now)
    return {truck_id: stretches for truck_id, stretches in found.items() if stretches}


def _expiring(rule: Rule, found: list[Stretch], one: IssuedCertificate, replaced_at: str | None, now: str) -> None:
    _, _, end, revoked_at = one
    over = min(filter(None, (replaced_at, revoked_at)), default=None)
    since = timestamps.from_ms(timestamps.to_ms(end) - round((rule.value or 0) * _DAY_MS))
    if since < (over or now):
        found.append(Stretch("", since, since, over, ((since, f"ends {end}"),)))


def converting_less(
    rule: Rule, sessions: Iterable[tuple[str, bool]], first_ms: int, now_ms: int
) -> tuple[list[Stretch], str]:
    """The whole hours at which the share of sessions with a purchase was below `value` times that of the week before.

    Args:
        rule: of kind `conversion`; it looks at the `minutes` before each whole hour, with `samples` sessions or more.
        sessions: `(when it began, whether it bought)`, RFC 3339, in any order, from `minutes` and a week before
            first_ms on.
        first_ms: Unix ms; whole hours from then on are judged.
        now_ms: Unix ms.

    Returns:
        The stretches, each ended by the first whole hour at which it was over; and the instant from which on they are
        all known: one that goes on at the first hour may have begun before it.
    """
    counts: dict[int, list[int]] = {}
    for began, bought in sessions:
        count = counts.setdefault(timestamps.to_ms(began) // _HOUR_MS, [0, 0])
        count[0] += 1
        count[1] += bought
    window, baseline = round(rule.minutes * 60_000) // _HOUR_MS, BASELINE_MS // _HOUR_MS
    first, last = -(-first_ms // _HOUR_MS), now_ms // _HOUR_MS
    found: list[Stretch] = []
    since: tuple[str, str] | None = None
    known_from = first
    for hour in range(first, last + 1):
        said = _fell(rule, _sum(counts, hour - window, hour), _sum(counts, hour - window - baseline, hour - window))
        instant = timestamps.from_ms(hour * _HOUR_MS)
        if said and hour == known_from:
            known_from += 1
        elif said and since is None:
            since = instant, said
        elif not said and since:
            found.append(Stretch("", since[0], instant, instant, (since,)))
            since = None
    if since:
        found.append(Stretch("", since[0], since[0], None, (since,)))
    return found, timestamps.from_ms(known_from * _HOUR_MS)


def failing(run: Sequence[Mapping[str, Any]], before: Mapping[str, Sequence[Stretch]]) -> dict[str, list[Stretch]]:
    """Quality rule → the times in which it failed: from the first run that showed it to one in which it does not.

    The mart has the newest run alone, so that what former runs said comes from `before`. A run that is older than what
    is known of a rule, of a warehouse that was put back, changes nothing; a rule that was removed fails no more.

    Args:
        run: the rows of mart `quality_run`, all of one run.
        before: what this returned last time.

    Returns:
        By rule, each by start; those of `before` are all there.
    """
    if not run:
        return {name: [*known] for name, known in before.items()}
    failed = {row["rule"]: _how_it_fails(row) for row in run if row["verdict"] != "ok"}
    run_at = run[0]["run_at"]
    return {name: _judged(before.get(name, ()), run_at, failed.get(name)) for name in sorted({*before, *failed})}


def _how_it_fails(row: Mapping[str, Any]) -> str:
    return f"{row['table_name']}: {row['failed']} of {row['rows']} rows, more than {row['threshold'] * 100:g}%"


def _judged(known: Sequence[Stretch], run_at: str, said: str | None) -> list[Stretch]:
    """Of one rule, with one more run; said: how it fails, None where it does not."""
    *over, newest = known or (None,)
    if newest is None or (said and newest.ended and newest.ended < run_at):
        return [*known, Stretch("", run_at, run_at, None, ((run_at, said),))] if said else []
    if run_at < (newest.ended or newest.last):
        return [*known]
    if said is None:
        return [*over, newest._replace(ended=newest.ended or run_at)]
    seen = tuple(each for each in newest.seen[:1] if each[0] < run_at)
    return [*over, newest._replace(last=run_at, ended=None, seen=(*seen, (run_at, said)))]


def _sum(counts: Mapping[int, Sequence[int]], first: int, end: int) -> tuple[int, int]:
    hours = [counts.get(hour, (0, 0)) for hour in range(first, end)]
    return sum(each[0] for each in hours), sum(each[1] for each in hours)


def _fell(rule: Rule, now: tuple[int, int], before: tuple[int, int]) -> str | None:
    if min(now[0], before[0]) < rule.samples:
        return None
    share, was = now[1] / now[0], before[1] / before[0]
    return f"{share:.1%} of {now[0]} sessions, {was:.1%} the week before" if share < (rule.value or 0) * was else None


def _numbers(first: int, last: int) -> str:
    return f"number {first}" if first == last else f"numbers {first} to {last}"


def _stretch(name: str, first_ms: int, end_ms: int | None, said: str) -> Stretch:
    first = timestamps.from_ms(first_ms)
    return Stretch(name, first, first, None if end_ms is None else timestamps.from_ms(end_ms), ((first, said),))
