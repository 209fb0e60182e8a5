"""How one shopper behaves: visit after visit through the funnel, one event at a time.

What is done follows from the dice; the identities (event, session, order) are new every time, because a browser's are.
A browser knows nobody until its shopper signs in to pay; from then on its events name the customer, as beacon.js does
after `identify`. Some shoppers use two devices, which turn out to be one customer.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from uuid import uuid4

from contract import timestamps
from contract.codec import Json
from simulator import browsing, odd_shoppers
from simulator.catalogue import CATEGORIES, DEVICES, REFERRERS, SEARCHES, CatalogueItem
from simulator.customers import CURRENCY, ShopAccount, account
from simulator.people import person

Event = dict[str, Json]


class Shopper:
    """One person with an account and one device or two; `next` never ends.

    oddity: what is odd about it (simulator.odd_shoppers); its wrong clock is `clock_error`.
    """

    def __init__(self, number: int, seed: int, oddity: odd_shoppers.Oddity | None = None) -> None:
        self.account: ShopAccount = account(number, seed)
        self._oddity = oddity
        self.clock_error = odd_shoppers.clock_error(number) if oddity == "wrong_clock" else timedelta()
        self._dice = Random(f"{seed}:shopper:{number}")
        location = person(number, seed).location
        self._browsers: list[Event] = [
            {"user_id": name, "device_type": device.device_type, "browser": device.browser, "location": location}
            for name in (f"shopper-{number:03}", f"shopper-{number:03}-b")[: self._dice.choice((1, 1, 2))]
            for device in (odd_shoppers.CRAWLER if oddity == "crawler" else self._dice.choice(DEVICES),)
        ]
        self._user_type = self._dice.choice(("new", "returning"))
        self._actions = self._visits()

    def next(self, now: datetime) -> Event:
        """The next event, done at `now`, as the shop's page would send it."""
        event: Event = {"event_id": str(uuid4()), "timestamp": timestamps.from_datetime(now)}
        return {**event, **next(self._actions)}

    def pause(self, rate: float) -> float:
        """Seconds to the next event at so many events a second on average."""
        if self._oddity == "bursts":
            return odd_shoppers.pause(self._dice, rate)
        return self._dice.expovariate(rate)

    def _visits(self) -> Iterator[Event]:
        while True:
            browser = self._dice.choice(self._browsers)
            visit = {
                "session_id": str(uuid4()),
                "referrer_url": self._dice.choice(REFERRERS),
                "user_type": self._user_type,
            }
            for action in odd_shoppers.crawl(self._dice) if self._oddity == "crawler" else self._visit():
                if action["event_type"] == "identify":
                    if "customer_id" in browser:
                        continue  # this browser is signed in already
                    browser["customer_id"] = self.account.customer_id
                yield {**visit, **browser, **action}
            self._user_type = "returning"

    def _visit(self) -> Iterator[Event]:
        """One walk through the shop (simulator.browsing), from the page it begins on to the last."""
        cart: list[CatalogueItem] = []
        place, item, landed = browsing.entrance(self._dice), browsing.liked(self._dice), True
        while place != "gone":
            if place == "home":
                yield {"event_type": "page_view", "page": "/"}
                item = browsing.liked(self._dice)
            elif place == "category":
                category = self._dice.choice(CATEGORIES)
                yield {"event_type": "page_view", "page": f"/category/{category.replace(' ', '-')}"}
                item = browsing.of_category(self._dice, category)
            elif place == "search":
                term = self._dice.choice(SEARCHES)
                yield {"event_type": "search", "page": f"/search?q={term.replace(' ', '+')}"}
                item = browsing.found(self._dice, term)
            elif place == "product":
                yield from self._look(item, cart, landed=landed)
                item = browsing.related(self._dice, item)
            elif place == "cart":
                yield from self._open_cart(cart)
            else:
                yield {"event_type": "page_view", "page": "/checkout"}
                if self._dice.random() < browsing.PAID:
                    yield from self._buy(cart)
                return
            place, landed = browsing.onward(self._dice, place, cart=bool(cart)), False

    def _look(self, item: CatalogueItem, cart: list[CatalogueItem], *, landed: bool) -> Iterator[Event]:
        page = f"/items/{item.item_id}"
        if landed:
            yield {"event_type": "page_view", "page": page}
        yield {"event_type": "view", "page": page, **_about(item)}
        if self._dice.random() < browsing.CLICKED:
            yield {"event_type": "click", "page": page, **_about(item)}
            if self._dice.random() < browsing.ADDED:
                cart.append(item)
                yield {"event_type": "add_to_cart", "page": page, **_about(item), "quantity": 1}

    def _open_cart(self, cart: list[CatalogueItem]) -> Iterator[Event]:
        yield {"event_type": "page_view", "page": "/cart"}
        if len(cart) > 1 and self._dice.random() < browsing.REMOVED:
            item = cart.pop(self._dice.randrange(len(cart)))
            yield {"event_type": "remove_from_cart", "page": "/cart", **_about(item), "quantity": 1}

    def _buy(self, cart: list[CatalogueItem]) -> Iterator[Event]:
        """Sign in, and buy the cart in one event, which names a single article itself and several as lines."""
        order_id = f"order-{uuid4().hex[:12]}"
        lines = [{**_about(item), "quantity": cart.count(item)} for item in dict.fromkeys(cart)]
        bought: Event = lines[0] if len(lines) == 1 else {"lines": lines}
        yield {"event_type": "identify", "page": "/checkout"}
        yield {
            "event_id": f"purchase-{order_id}",
            "event_type": "purchase",
            "page": "/checkout",
            "order_id": order_id,
            "currency": CURRENCY,
            **bought,
        }


def bought_lines(purchase: Event) -> list[Event]:
    """The lines of a purchase, also of one that names a single article itself."""
    names = ("item_id", "item_name", "category", "price", "quantity")
    return list(purchase.get("lines") or [{name: purchase[name] for name in names}])


def _about(item: CatalogueItem) -> Event:
    return {"item_id": item.item_id, "item_name": item.name, "category": item.category, "price": item.price}
