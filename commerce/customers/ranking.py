"""The segments of all customers of a database, computed when asked for and kept for a minute."""

import threading
import time
from collections.abc import Callable, Mapping

from commerce.customers.money import Money
from commerce.customers.segments import PROSPECT, Segment, segments
from commerce.queries import placed_orders
from commerce.storage.database import Database

_KEPT_S = 60.0


class Ranking:
    """Safe to call from several threads. What it says is at most a minute old."""

    def __init__(self, database: Database, money: Money, *, newest: Callable[[], str] = str) -> None:
        """
        Args:
            database: of commerce.
            money: how revenue is summed.
            newest: when the last event of any visit was, RFC 3339, "" where there is none.
        """
        self._database, self._money, self._newest = database, money, newest
        self._guard = threading.Lock()
        self._segments: Mapping[str, Segment] = {}
        self._until = 0.0

    def all(self) -> Mapping[str, Segment]:
        """The segment of every customer who has ordered.

        Returns:
            customer_id → segment; made anew at most once in the time that the class says.
        """
        with self._guard:
            if time.monotonic() >= self._until:
                states = [state for state, _ in placed_orders(self._database)]
                today = max((state["placed_at"] for state in states), default="")
                today = max(today, self._newest())[:10]
                self._segments = segments(states, self._money, today=today) if states else {}
                self._until = time.monotonic() + _KEPT_S
            return self._segments

    def of(self, customer_id: str) -> Segment:
        """One customer's; `prospect` for whoever has ordered nothing.

        Args:
            customer_id: whose.

        Returns:
            `prospect` for whoever has ordered nothing.
        """
        return self.all().get(customer_id, PROSPECT)
