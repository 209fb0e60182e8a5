"""Shop events of some days, and what each view must say of them: all of them counted anew, by the definitions alone."""

from collections import Counter as Tally
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

from collector.clicks.sessions import sessions
from collector.rows import Counter, StoredClick
from collector.stores import Reader
from contract import timestamps
from contract.codec import dump

DAY_MS = 86_400_000
_KINDS = ("page_view", "view", "add_to_cart", "purchase", "search")


def shop_events(count: int, now_ms: int, random: Random) -> list[StoredClick]:
    """Of four days, close to midnight as often as not, some of no session, some of robots."""
    return [shop_event(f"e{number:03d}", now_ms, random) for number in range(count)]


def shop_event(event_id: str, now_ms: int, random: Random) -> StoredClick:
    midnight = now_ms // DAY_MS * DAY_MS - random.randrange(3) * DAY_MS
    at_ms = midnight + random.choice([random.randint(-3_600_000, 3_600_000), random.randint(0, 10 * 3_600_000)])
    at, kind = timestamps.from_ms(at_ms), random.choice(_KINDS)
    user_id = random.choice([None, "u1", "u2"])
    record = {"order_id": random.choice(["o1", "o2"]), "browser_id": random.choice([None, "b1", "b2"])}
    return StoredClick(
        event_id=event_id,
        timestamp=at,
        session_id=random.choice([None, "s1", "s1.2", "ß\U0001f600", "s" * 128]),
        page=random.choice([None, "/", "/a"]),
        counter=Counter(at[:16] + ":00.000Z", random.choice([None, "A1"]), random.choice([None, "Boots"]), kind),
        count=random.choice([0, 1, 7]),
        received_ms=now_ms,
        text=dump({name: value for name, value in record.items() if value}),
        user_id=user_id,
        customer_id=random.choice([None, "c1"]) if user_id else None,
        is_bot=random.random() < 0.3,
        from_file=random.random() < 0.1,
    )


def views(reader: Reader, since: str, until: str) -> dict[str, Any]:
    parts = list(reader.session_parts(since, until))
    unnumbered = [replace(part, part=0) for part in reader.session_parts(since, until, numbered=False)]
    return {
        "items": _without_nothing(reader.item_counts(since[:16] and since[:16] + ":00.000Z", until)),
        "minutes": _without_nothing(reader.minute_counts(since[:16] and since[:16] + ":00.000Z", until)),
        "pages": _without_nothing(reader.page_counts(since[:16] and since[:16] + ":00.000Z", until)),
        "parts": sorted(parts, key=lambda part: (part.first, part.name)),
        "unnumbered": sorted(unnumbered, key=lambda part: (part.first, part.session_id)),
        "of no session": tuple(reader.events_of_no_session(since, until)),
        "users": {(user, customer) for user, customer, _ in reader.identified_users()},
        "browsers": set(reader.browser_users()),
        "purchases": [click.event_id for click in reader.purchases()],
        "of sessions": [
            [each.event_id for each in reader.clicks_of_session(name)] for name in ("s1", "ß\U0001f600", "x")
        ],
    }


def _without_nothing(rows: Any) -> set[tuple[Any, ...]]:
    return {tuple(row) for row in rows if row[-2]}


def anew(events: Sequence[StoredClick], since: str, until: str) -> dict[str, Any]:
    """By the definitions alone."""
    inside = [each for each in events if since[:16] <= each.counter.minute < until]
    parts = [part for part in sessions(events) if since <= part.first < until]
    loose = [each for each in events if each.session_id is None and since <= each.timestamp < until]
    ordered = sorted(events, key=lambda each: (each.timestamp, each.event_id))
    return {
        "items": _tally((c.counter.item_id, c.counter.item_name, c.counter.event_type, c) for c in inside),
        "minutes": _tally((c.counter.minute, c.counter.item_id, c.counter.event_type, c) for c in inside),
        "pages": _tally((c.page, c.counter.event_type, c) for c in inside),
        "parts": sorted(parts, key=lambda part: (part.first, part.name)),
        "unnumbered": sorted((replace(p, part=0) for p in parts), key=lambda part: (part.first, part.session_id)),
        "of no session": (len(loose), sum(each.is_bot for each in loose)),
        "users": {(c.user_id, c.customer_id) for c in events if c.user_id and c.customer_id},
        "browsers": {(b, c.user_id) for c in events for b in ("b1", "b2") if c.user_id and f'"{b}"' in c.text},
        "purchases": [c.event_id for c in ordered if c.counter.event_type == "purchase"],
        "of sessions": [[c.event_id for c in ordered if c.session_id == name] for name in ("s1", "ß\U0001f600", "x")],
    }


def _tally(rows: Any) -> set[tuple[Any, ...]]:
    counts: Tally[Any] = Tally()
    bots: Tally[Any] = Tally()
    for *key, click in rows:
        counts[tuple(key)] += click.count
        bots[tuple(key)] += click.count * click.is_bot
    return {(*key, count, bots[key]) for key, count in counts.items() if count}


def spans(now_ms: int) -> list[tuple[str, str]]:
    midnight = now_ms // DAY_MS * DAY_MS
    two_days, one_day, evening = (timestamps.from_ms(midnight - back) for back in (2 * DAY_MS, DAY_MS, 600_000))
    return [("", "~"), (two_days, one_day), (one_day, evening), (evening, "~")]
