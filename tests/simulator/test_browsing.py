"""A visit is a walk through the shop: pages follow one another as the odds say, and popular articles are seen more."""

from collections import Counter
from datetime import UTC, datetime
from functools import cache
from itertools import groupby, islice, pairwise
from random import Random

import pytest

from simulator import browsing
from simulator.catalogue import CATEGORIES, ITEMS
from simulator.shopper import Event, Shopper

VISITS = 3000


@cache
def _visits() -> list[list[Event]]:
    now = datetime.now(UTC)
    found: list[list[Event]] = []
    for number in range(1, 61):
        shopper = Shopper(number, 7)
        events = [shopper.next(now) for _ in range(600)]
        groups = [list(visit) for _, visit in groupby(events, key=lambda event: event["session_id"])]
        found += groups[:-1]  # the last one was interrupted
    return found[:VISITS]


def _places(visit: list[Event]) -> list[str]:
    """The pages of a visit, one for each that was opened."""
    kinds = {"/": "home", "category": "category", "cart": "cart", "checkout": "checkout", "items": "product"}
    opened: list[str] = []
    for at, event in enumerate(visit):
        page = str(event["page"])
        if event["event_type"] == "search":
            opened.append("search")
        elif event["event_type"] == "view":
            opened.append("product")
        elif event["event_type"] == "page_view" and not (at == 0 and page.startswith("/items/")):
            opened.append(kinds["/" if page == "/" else page.split("/")[1].split("?")[0]])
    return opened


def test_every_step_is_one_that_the_odds_know() -> None:
    """No page leads to a page that it has no link to; a visit begins on a page of ENTRANCE."""
    for visit in _visits():
        opened = _places(visit)
        assert opened[0] in browsing.ENTRANCE
        for before, after in pairwise(opened):
            assert after in browsing.ODDS[before]  # type: ignore[index]


@pytest.mark.parametrize("place", ["home", "category", "search"])
def test_pages_follow_one_another_as_often_as_the_odds_say(place: str) -> None:
    """Where the cart does not matter: within 5 points of the odds over 3,000 visits."""
    onward: Counter[str] = Counter()
    for visit in _visits():
        opened = [*_places(visit), "gone"]
        onward.update(after for before, after in pairwise(opened) if before == place)
    odds = browsing.ODDS[place]  # type: ignore[index]
    without_cart = sum(odds.values())
    for after, share in odds.items():
        assert onward[after] / onward.total() == pytest.approx(share / without_cart, abs=0.05)


def test_the_odds_of_each_page_add_up_to_one() -> None:
    """So that a share is what it says."""
    for odds in (browsing.ENTRANCE, *browsing.ODDS.values()):
        assert sum(odds.values()) == pytest.approx(1.0)


def test_an_empty_cart_is_never_opened() -> None:
    """Before anything was added, or after all was bought."""
    for visit in _visits():
        filled = 0
        for event in visit:
            filled += (event["event_type"] == "add_to_cart") - (event["event_type"] == "remove_from_cart")
            assert event["page"] != "/cart" or filled > 0 or event["event_type"] == "remove_from_cart"


def test_popular_articles_are_seen_more_often() -> None:
    """The best liked fifth has more than a third of the views, and every article has some."""
    seen = Counter(str(e["item_id"]) for visit in _visits() for e in visit if e["event_type"] == "view")
    best = sum(count for _, count in seen.most_common(len(ITEMS) // 5))
    assert set(seen) == {item.item_id for item in ITEMS}
    assert best / seen.total() > 1 / 3


def test_a_search_leads_to_what_was_looked_for() -> None:
    """`laptop` finds laptops and what is for laptops; a term that nothing has finds anything."""
    dice = Random(1)
    assert {browsing.found(dice, "camera").category for _ in range(200)} == {"cameras", "accessories"}
    assert all("laptop" in f"{browsing.found(dice, 'laptop').name}".lower() for _ in range(100))
    assert {browsing.found(dice, "gift").category for _ in range(300)} == set(CATEGORIES)


def test_what_is_related_is_another_article() -> None:
    """Of the same category, or an accessory."""
    dice = Random(2)
    for item in islice(ITEMS, 10):
        for _ in range(20):
            other = browsing.related(dice, item)
            assert other != item
            assert other.category in (item.category, "accessories")
