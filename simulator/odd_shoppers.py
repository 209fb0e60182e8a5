"""Shoppers that are not like the others (`[simulator] odd_shoppers`): crawlers, wrong clocks, bursts.

What is planted goes with the events, so that what is made of them can be judged: a crawler's user agent is its own, and
who has a wrong clock says by how much (`properties.clock_error_s`), which no real browser knows. Their requests hold
their events alone, since a request has one sender, whose user agent and clock the door sees.
"""

from collections.abc import Iterator
from datetime import timedelta
from random import Random
from typing import Literal

from contract import timestamps
from contract.codec import Json
from simulator.catalogue import ITEMS, Device

Oddity = Literal["crawler", "wrong_clock", "bursts"]

CRAWLER = Device("desktop", "Googlebot", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)")
CLOCK_ERRORS_S = (-7_200, 5_400, 93_600, -400 * 86_400)
_ODDITIES: tuple[Oddity, ...] = ("crawler", "wrong_clock", "bursts")
_QUICK, _LONG = 20.0, 0.02
"""In a burst events follow one another so many times faster; after each such a share of the odds is its end."""


def oddity(number: int, share: float) -> Oddity | None:
    """What is odd about a shopper.

    Args:
        number: its number, from 1.
        share: how many of all are odd, 0 to 1.

    Returns:
        One of three in turn; None for most.
    """
    before, now = int((number - 1) * share), int(number * share)
    return _ODDITIES[before % len(_ODDITIES)] if now > before else None


def clock_error(number: int) -> timedelta:
    """By how much the clock of a shopper is wrong, where it is.

    Args:
        number: the shopper's, from 1.

    Returns:
        Hours ahead or behind, a day ahead, or more than a year behind.
    """
    return timedelta(seconds=CLOCK_ERRORS_S[number % len(CLOCK_ERRORS_S)])


def mistimed(event: dict[str, Json], error: timedelta) -> dict[str, Json]:
    """An event as a browser with a wrong clock tells it.

    Args:
        event: with its true time.
        error: of the clock.

    Returns:
        The same with the wrong time, and what is wrong about it.
    """
    at = timestamps.to_datetime(str(event["timestamp"])) + error
    told = {"timestamp": timestamps.from_datetime(at), "properties": {"clock_error_s": int(error.total_seconds())}}
    return {**event, **told}


def pause(dice: Random, rate: float) -> float:
    """Seconds to the next event of who comes in bursts: most at once, then nothing for long.

    Args:
        dice: the shopper's.
        rate: events a second on average.

    Returns:
        Seconds.
    """
    if dice.random() > _LONG:
        return dice.expovariate(rate * _QUICK)
    return dice.expovariate(rate * _LONG / (1 - (1 - _LONG) / _QUICK))


def crawl(dice: Random) -> Iterator[dict[str, Json]]:
    """One visit of a crawler: every article's page, in any order, and nothing else.

    Args:
        dice: the crawler's.

    Yields:
        What it does, as the shop's page tells it.
    """
    for item in dice.sample(ITEMS, len(ITEMS)):
        yield {"event_type": "page_view", "page": f"/items/{item.item_id}"}
