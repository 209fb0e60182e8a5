"""How a visit goes through the shop: a Markov chain over the kinds of pages, and which article a page is about.

The next page depends on the present one alone (`ODDS`), as in models that are fitted to recorded sessions. Articles are
not equally liked: the odds of the n-th of ITEMS' ranking fall as 1/n, as sales do.
"""

from collections.abc import Sequence
from itertools import accumulate
from random import Random
from typing import Literal

from simulator.catalogue import ITEMS, CatalogueItem

Place = Literal["home", "category", "search", "product", "cart", "checkout", "gone"]

ENTRANCE: dict[Place, float] = {"home": 0.6, "category": 0.15, "product": 0.25}
"""Where a visit begins: links of search engines and newsletters lead past the front page."""

ODDS: dict[Place, dict[Place, float]] = {
    "home": {"category": 0.4, "search": 0.25, "product": 0.25, "gone": 0.1},
    "category": {"product": 0.72, "category": 0.12, "search": 0.06, "gone": 0.1},
    "search": {"product": 0.7, "search": 0.14, "category": 0.08, "gone": 0.08},
    "product": {"product": 0.26, "category": 0.14, "search": 0.1, "cart": 0.4, "gone": 0.1},
    "cart": {"checkout": 0.68, "product": 0.1, "category": 0.1, "gone": 0.12},
}
"""From each page the odds of the next. Nobody opens an empty cart: that share goes to the others."""

CLICKED, ADDED, REMOVED, PAID = 0.75, 0.55, 0.25, 0.88
"""A shown article is clicked (its pictures, its details); a clicked one goes to the cart; a cart of several loses one
when it is looked at; a checkout is paid."""

_RANKING: tuple[CatalogueItem, ...] = tuple(Random("ranking").sample(ITEMS, len(ITEMS)))
_RELATED_SAME_CATEGORY = 0.6


def entrance(dice: Random) -> Place:
    """The kind of page that a visit begins on.

    Args:
        dice: the shopper's.

    Returns:
        One of ENTRANCE.
    """
    return _pick(dice, ENTRANCE)


def onward(dice: Random, place: Place, *, cart: bool) -> Place:
    """The kind of page after this one.

    Args:
        dice: the shopper's.
        place: the present one: a key of ODDS.
        cart: whether there is anything in the cart.

    Returns:
        One of ODDS[place]; `gone` ends the visit.
    """
    return _pick(dice, {next_: odds for next_, odds in ODDS[place].items() if cart or next_ != "cart"})


def liked(dice: Random, among: Sequence[CatalogueItem] = ()) -> CatalogueItem:
    """An article, the popular ones more often.

    Args:
        dice: the shopper's.
        among: those to choose from; none: all.

    Returns:
        One of them.
    """
    ranked = [item for item in _RANKING if item in among] if among else list(_RANKING)
    weights = list(accumulate(1 / rank for rank in range(1, len(ranked) + 1)))
    return dice.choices(ranked, cum_weights=weights)[0]


def related(dice: Random, item: CatalogueItem) -> CatalogueItem:
    """What the page of an article leads to: another of its category, or an accessory.

    Args:
        dice: the shopper's.
        item: whose page it is.

    Returns:
        Another article.
    """
    category = item.category if dice.random() < _RELATED_SAME_CATEGORY else "accessories"
    return liked(dice, [other for other in ITEMS if other.category == category and other != item])


def of_category(dice: Random, category: str) -> CatalogueItem:
    """An article of a category.

    Args:
        dice: the shopper's.
        category: one of the catalogue's.

    Returns:
        One of it.
    """
    return liked(dice, [item for item in ITEMS if item.category == category])


def found(dice: Random, term: str) -> CatalogueItem:
    """An article whose name or category has a search term in it, or any one where none has.

    Args:
        dice: the shopper's.
        term: in small letters.

    Returns:
        One of them.
    """
    return liked(dice, [item for item in ITEMS if term in f"{item.name} {item.category}".lower()])


def _pick(dice: Random, odds: dict[Place, float]) -> Place:
    return dice.choices(list(odds), weights=list(odds.values()))[0]
