"""Virtual shoppers: they make events, and a poster sends them to the real beacon until each has its receipt.

Promise: an event is in the outbox before it is posted and stays open until the beacon gave a receipt for it; whatever
happens in between (503, a lost answer, a kill of either side), the same event_id is sent again. Now and then an event
is sent twice on purpose, as browsers do. Where trucks deliver, a purchase is also an order (simulator.orders).
"""

import heapq
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from logging import getLogger
from pathlib import Path
from random import Random
from threading import Event as Flag
from threading import Thread

import httpx

from agent.timing.clock import Clock, SystemClock
from contract import codec, timestamps
from contract.errors import Rejected, Retryable
from simulator import odd_shoppers
from simulator.orders import Request
from simulator.orders_books import ShopBooks
from simulator.orders_poster import OrdersPoster
from simulator.outbox import Closing, Open, Outbox
from simulator.people import user_agent
from simulator.shopper import Event, Shopper

log = getLogger(__name__)

_FIRST_WAIT, _LONGEST_WAIT = 0.2, 5.0
_BATCH = 50
_REPEATS = 0.04
_LAG_S = 1.0  # what a stalled machine missed is not made up for
_CLOCK_ERROR = timedelta(seconds=1)
_REFUSED = (400, 413)  # this body will never be taken


class Shed(Retryable):
    """The beacon cannot take it now; wait: seconds it asks for, 0 if it does not say."""

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


class Poster:
    """Sends what is open in the outbox, oldest first, until told to stop and nothing is left, or to give up."""

    def __init__(self, outbox: Outbox, url: str, clock: Clock, *, dice: Random, timeout: float = 10.0) -> None:
        self._outbox, self._clock = outbox, clock
        self._url = url.rstrip("/") + "/v1/clicks"
        self._dice = dice
        self._client = httpx.Client(timeout=timeout, trust_env=False)
        self._failures = 0
        self.more, self.finish, self.give_up = Flag(), Flag(), Flag()

    def run(self) -> None:
        """Until `finish` is set and the outbox is empty, or `give_up` is set."""
        with self._client:
            while not self.give_up.is_set():
                events = self._outbox.open_events(_BATCH)
                if events:
                    self._send(events)
                elif self.finish.is_set():
                    return
                else:
                    self.more.wait(0.5)
                    self.more.clear()

    def _send(self, events: Sequence[Open]) -> None:
        alone = len(events) < 10 and self._dice.random() < 0.7
        groups = _by_sender(events)
        if alone:
            groups = [(error, [event]) for error, group in groups for event in group]
        for error_s, group in groups:
            if self.give_up.is_set():
                return
            try:
                self._outbox.close_events(self._post(group, error_s))
            except Retryable as error:
                self._back_off(error)
                return
            self._recovered()
            self._repeat(group, error_s)

    def _back_off(self, error: Retryable) -> None:
        self._failures += 1
        if self._failures == 1:
            log.warning("beacon_unavailable url=%s reason=%s", self._url, error)
        longest = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(self._failures, 10))
        asked = error.wait if isinstance(error, Shed) else 0.0
        self.give_up.wait(max(self._dice.uniform(0, longest), min(asked, _LONGEST_WAIT)))

    def _recovered(self) -> None:
        if self._failures:
            log.info("beacon_recovered url=%s failures=%d", self._url, self._failures)
        self._failures = 0

    def _repeat(self, group: Sequence[Open], error_s: int) -> None:
        """Once more what has its receipt already, as a page does that is left while its request is under way."""
        if self._dice.random() < _REPEATS:
            with suppress(Retryable):
                self._post([self._dice.choice(group)], error_s)

    def _post(self, group: Sequence[Open], error_s: int) -> list[Closing]:
        """One request by a browser whose clock is so wrong; the receipts it brought. Raises Retryable where there is no
        answer to rely on."""
        bodies = [event.body for event in group]
        if len(group) > 1 and self._dice.random() < 0.1:
            bodies.append(self._dice.choice(bodies))
        body = f'{{{self._sent_at(error_s)}"events":[{",".join(bodies)}]}}'
        headers = {"Content-Type": "text/plain", "User-Agent": _user_agent(group[0].body)}
        try:
            answer = self._client.post(self._url, content=body.encode(), headers=headers)
        except httpx.TransportError as error:
            raise Shed(f"{type(error).__name__}: {error}") from error
        if answer.status_code == 200:
            return _receipts(answer.content)
        if answer.status_code not in _REFUSED:
            raise Shed(f"HTTP {answer.status_code}", _seconds(answer.headers.get("Retry-After", "")))
        if len(group) > 1:  # one of them, or all together, is too much: find out which
            return [closing for event in group for closing in self._post([event], error_s)]
        reason = f"HTTP {answer.status_code} {answer.text:.200}"
        log.error("click_refused event_id=%s reason=%s", group[0].event_id, reason)
        return [Closing(group[0].event_id, "rejected", reason)]

    def _sent_at(self, error_s: int) -> str:
        """The browser's clock, as beacon.js sends it; left out while simulated time is not ours."""
        if not _is_ours(self._clock):
            return ""
        return f'"sent_at":"{timestamps.from_datetime(self._clock.now() + timedelta(seconds=error_s))}",'


def _is_ours(clock: Clock) -> bool:
    """Whether simulated time has caught up with ours, which it then stays with."""
    return abs(clock.now() - datetime.now(UTC)) <= _CLOCK_ERROR


def _by_sender(events: Sequence[Open]) -> list[tuple[int, list[Open]]]:
    """What may go in one request: each sender's clock error in seconds, and its events in their order."""
    known = sorted(((_sender(event.body), event) for event in events), key=lambda each: each[0])
    return [(key[1], [event for _, event in group]) for key, group in groupby(known, key=lambda each: each[0])]


def _sender(body: str) -> tuple[bool, int]:
    """Whether it is a crawler, and how wrong its clock is: all shoppers that are not odd are one sender."""
    event = codec.parse(body)
    error = (event.get("properties") or {}).get("clock_error_s", 0)
    return event.get("browser") == odd_shoppers.CRAWLER.browser, int(error)


def _user_agent(body: str) -> str:
    """A person has one device of a kind, and each device its own."""
    event = codec.parse(body)
    return user_agent(str(event.get("device_type")), str(event.get("browser")), str(event.get("user_id")))


def _receipts(content: bytes) -> list[Closing]:
    try:
        receipts = codec.parse(content)["receipts"]
        return [
            Closing(str(receipt.get("event_id")), str(receipt["status"]), receipt.get("reason")) for receipt in receipts
        ]
    except (Rejected, LookupError, TypeError, AttributeError) as error:
        raise Retryable(f"no receipts in the beacon's answer: {error}") from error


def _seconds(text: str) -> float:
    return float(text) if text.isdigit() else 0.0


@dataclass(frozen=True, slots=True)
class Shop:
    """What a run of shoppers is made of; rate: events a second and shopper; drain: seconds at the end.

    clock: when they do it. trucks: what they buy is ordered, and delivered by these; with none they only look.
    key: of `[commerce] keys`, for the orders. odd: the share of them that are odd (simulator.odd_shoppers).
    """

    count: int
    url: str
    outbox: Path
    rate: float
    drain: float
    seed: int
    clock: Clock = field(default_factory=SystemClock)
    trucks: Sequence[str] = ()
    key: str = ""
    odd: float = 0.0

    def run(self, stop: Flag, *, seconds: float | None = None) -> None:
        """Make and send events until `stop` is set or so many seconds have passed, then send what is left."""
        outbox = Outbox(self.outbox)
        clicks = Poster(outbox, self.url, self.clock, dice=Random(f"{self.seed}:poster"))
        orders = OrdersPoster(outbox, self.url, self.clock, key=self.key, dice=Random(f"{self.seed}:orders"))
        threads = [Thread(target=clicks.run, name="clicks", daemon=True)]
        if self.trucks:
            threads.append(Thread(target=orders.run, name="orders", daemon=True))
        for thread in threads:
            thread.start()
        log.info("shoppers_started count=%d url=%s rate=%s", self.count, self.url, self.rate)
        try:
            self._make_events(outbox, clicks, stop, until=None if seconds is None else time.monotonic() + seconds)
        finally:
            clicks.finish.set()
            orders.finish.set()
            clicks.more.set()
            deadline = time.monotonic() + self.drain
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))
            clicks.give_up.set()
            orders.give_up.set()
            for thread in threads:
                thread.join(15.0)
            log.info("shoppers_stopped open=%d", outbox.count_open())
            outbox.close()

    def _make_events(self, outbox: Outbox, poster: Poster, stop: Flag, *, until: float | None) -> None:
        shop = ShopBooks(outbox, self.trucks, self.seed) if self.trucks else None
        if shop:
            shop.open()
        shoppers = [
            Shopper(number, self.seed, odd_shoppers.oddity(number, self.odd)) for number in range(1, self.count + 1)
        ]
        due = [(time.monotonic() + shopper.pause(self.rate), number) for number, shopper in enumerate(shoppers)]
        heapq.heapify(due)
        while due and not stop.wait(max(0.0, due[0][0] - time.monotonic())):
            clock = time.monotonic()
            if until is not None and clock >= until:
                return
            events: list[Event] = []
            requests: list[Request] = []
            while due[0][0] <= clock:
                at, number = heapq.heappop(due)
                now = self.clock.now()
                event = shoppers[number].next(now)
                if shop:  # the shop's own server has its own clock
                    requests += shop.note(shoppers[number], event, now)
                error = shoppers[number].clock_error
                events.append(odd_shoppers.mistimed(event, error) if error and _is_ours(self.clock) else event)
                heapq.heappush(due, (max(at, clock - _LAG_S) + shoppers[number].pause(self.rate), number))
            if events:
                outbox.add(events, requests)
                poster.more.set()
