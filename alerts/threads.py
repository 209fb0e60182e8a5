"""What is told of alerts: pure. An alert may change with every late sample; people are told once.

A thread is what is told of one trouble. Alerts that overlap it are its own, whatever their ids become: they are
updates, and nobody is told again. Of each thread a receiver gets one opening and one end; the end may stand in the
opening (the trouble was over when it became known). A trouble that late samples show never to have been gets one
retraction. Messages have the thread's id and a number, so that a receiver can drop one that comes twice.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, NamedTuple

from alerts.alert import Alert

Event = Literal["opening", "end", "retraction"]
State = Literal["open", "ended", "retracted", "merged"]
_FOREVER = "9999"


@dataclass(frozen=True, slots=True)
class Thread:
    """start, end: of the alerts that it covers, as last told or known. number: of its last message. alert: its id."""

    id: str
    rule: str
    name: str
    alert: str
    start: str
    end: str | None
    state: State
    number: int

    def as_json(self) -> dict[str, Any]:
        """For the store; `Thread(**document)` reads it."""
        return asdict(self)


class Told(NamedTuple):
    """One message of a thread. alert: as it is now, or as it was for a retraction. into: the thread that goes on where
    two turned out to be one."""

    thread: Thread
    event: Event
    alert: Alert
    into: str | None = None


class _Group(NamedTuple):
    alerts: list[Alert]
    threads: list[Thread]


def update_threads(
    threads: Sequence[Thread], alerts: Sequence[Alert], former: Sequence[Alert], is_news: Callable[[Alert], bool]
) -> tuple[list[Thread], list[Told]]:
    """What changes in the threads of one subject, and what is to be told.

    Args:
        threads: that are known of one subject.
        alerts: as they are now.
        former: as they were, to say what is retracted.
        is_news: whether an alert that was over when it became known is told at all.

    Returns:
        The threads that are new or changed, and the messages, each with its thread as it is after it.
    """
    changed: list[Thread] = []
    told: list[Told] = []
    live = [thread for thread in threads if thread.state in ("open", "ended")]
    for key in sorted({(each.rule, each.name) for each in alerts} | {(each.rule, each.name) for each in live}):
        mine = [each for each in alerts if (each.rule, each.name) == key]
        known = [each for each in live if (each.rule, each.name) == key]
        count = sum((each.rule, each.name) == key for each in threads)
        for group in _groups(mine, known):
            if not group.alerts:
                steps = [_retract(thread, former) for thread in group.threads]
            elif group.threads:
                steps = _go_on(group, count)
            else:
                steps = _open(group.alerts, count, is_news)
            for thread, message in steps:
                count += thread.id not in {each.id for each in threads}
                changed.append(thread)
                told += [message] if message else []
    before = {thread.id: thread for thread in threads}
    return [thread for thread in changed if before.get(thread.id) != thread], told


_Step = tuple[Thread, Told | None]


def _open(alerts: list[Alert], count: int, is_news: Callable[[Alert], bool]) -> list[_Step]:
    newest = alerts[-1]
    if newest.end is not None and not is_news(newest):
        return []
    thread = replace(_thread(newest, count), start=alerts[0].start)
    return [(thread, Told(thread, "opening", newest))]


def _thread(alert: Alert, count: int) -> Thread:
    parts = "\0".join((alert.subject, alert.rule, alert.name, alert.start, str(count)))
    identity = hashlib.sha256(parts.encode()).hexdigest()[:16]
    state: State = "open" if alert.end is None else "ended"
    return Thread(identity, alert.rule, alert.name, alert.id, alert.start, alert.end, state, 1)


def _go_on(group: _Group, count: int) -> list[_Step]:
    """Threads that alerts overlap: the oldest open one goes on for all of them."""
    newest = group.alerts[-1]
    ends = [alert.end for alert in group.alerts]
    is_open = None in ends
    start = group.alerts[0].start
    end = None if is_open else max(each for each in ends if each is not None)
    open_ones = [thread for thread in group.threads if thread.state == "open"]
    if not open_ones:
        if is_open:  # it was told to be over, and is not: that is news
            thread = _thread(newest, count)
            return [(thread, Told(thread, "opening", newest))]
        return [(replace(group.threads[0], alert=newest.id, start=start, end=end), None)]
    first, *others = open_ones  # by start: the oldest goes on
    keeper = replace(first, alert=newest.id, start=start, end=end)
    if is_open:
        steps: list[_Step] = [(keeper, None)]
    else:
        keeper = replace(keeper, state="ended", number=keeper.number + 1)
        steps = [(keeper, Told(keeper, "end", newest))]
    for thread in others:
        merged = replace(thread, state="merged", number=thread.number + 1)
        steps.append((merged, Told(merged, "end", newest, into=first.id)))
    return steps


def _retract(thread: Thread, former: Sequence[Alert]) -> _Step:
    gone = replace(thread, state="retracted", number=thread.number + 1)
    was = next((alert for alert in former if alert.id == thread.alert), None)
    return gone, Told(gone, "retraction", was) if was else None


def _groups(alerts: Sequence[Alert], threads: Sequence[Thread]) -> list[_Group]:
    """What overlaps, directly or by way of others; each list by start."""
    items: list[tuple[str, str, Alert | Thread]] = [(each.start, each.end or _FOREVER, each) for each in alerts]
    items += [(each.start, each.end or _FOREVER, each) for each in threads]
    groups: list[_Group] = []
    until = ""
    for start, end, item in sorted(items, key=lambda each: (each[0], each[1], each[2].id)):
        if not groups or start > until:
            groups.append(_Group([], []))
            until = end
        until = max(until, end)
        if isinstance(item, Alert):
            groups[-1].alerts.append(item)
        else:
            groups[-1].threads.append(item)
    return groups
