"""Joins commerce to one machine: its database in the data directory, its doors in the same HTTP server."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from starlette.routing import BaseRoute

from collector import queries
from collector.settings import CollectorSettings
from commerce.customers import unified_view
from commerce.customers.money import Money
from commerce.customers.ranking import Ranking
from commerce.deliveries import Locate, Missing
from commerce.http.access import KeyedAccess
from commerce.http.orders import OrderDoors
from commerce.http.recommendations import Interests, InterestsOf, RecommendationDoors, SeenBy
from commerce.http.registers import RegisterDoors
from commerce.http.truck_routes import TruckRouteDoors
from commerce.orders.service import Orders
from commerce.queries import items_bought
from commerce.recommendations.serving import FOLDER, Recommendations
from commerce.registers.documents import ITEMS
from commerce.registers.register import Register
from commerce.routes.plans import Plans
from commerce.settings import CommerceSettings
from commerce.storage.database import Database
from contract.forgotten import Forgotten
from contract.http_access import HttpSettings

_SESSIONS, _ORDERS = 10, 20
"""How many of a customer's newest ones tell what to recommend, and what not."""


def commerce_doors(
    database: Database, collector: CollectorSettings, commerce: CommerceSettings, http: HttpSettings, money: Money
) -> list[BaseRoute]:
    """The routes of commerce on its open database; revenue is summed by `money`."""
    locate = reading_positions(collector.store_url)
    marks = Forgotten(collector.data_dir)
    orders = Orders(database, knows_truck=lambda truck_id: locate(truck_id, None) is not None, forgotten=marks)
    access, plans = KeyedAccess(commerce.keys, http.networks), Plans(database)
    items = Register(database, ITEMS)
    visits = CustomerVisits(collector.store_url, marks)
    ranking = Ranking(database, money, newest=visits.newest)
    view = partial(unified_view, visits_of=visits.of, segment_of=ranking.of)
    served = Recommendations(collector.data_dir / FOLDER, catalogue=items.all_current)
    seen_by = reading_sessions(collector.store_url)
    recommended = RecommendationDoors(
        served, access, seen_by=seen_by, interests_of=interests(database, visits, seen_by)
    )
    return [
        *OrderDoors(orders, access, locate=locate, plans=plans, missing=counting_missing(collector)).routes,
        *TruckRouteDoors(plans, access).routes,
        *RegisterDoors(database, access, view=view, forgotten=marks).routes,
        *recommended.routes,
    ]


class CustomerVisits:
    """Customers' visits from the collector's store, kept in memory; safe to call from several threads."""

    def __init__(self, store_url: str, marks: Forgotten) -> None:
        self._store_url, self._marks = store_url, marks
        self._guard = threading.Lock()
        self._visits, self._forgotten = queries.Visits(), marks.markers()

    def of(self, customer_id: str) -> dict[str, Any] | None:
        """See collector.queries.Visits.of."""
        with self._current() as visits:
            return visits.of(customer_id)

    def newest(self) -> str:
        """When the last event of all was, "" where there is none."""
        with self._current() as visits:
            return visits.newest

    def newest_sessions(self, customer_id: str, most: int) -> list[str]:
        """See collector.queries.Visits.newest_sessions."""
        with self._current() as visits:
            return visits.newest_sessions(customer_id, most)

    @contextmanager
    def _current(self) -> Iterator[queries.Visits]:
        with self._guard, queries.opened_reader(self._store_url) as reader:
            if (now := self._marks.markers()) is not self._forgotten:
                self._forgotten = now
                self._visits.forget()
            self._visits.catch_up(reader)
            yield self._visits


def interests(database: Database, visits: CustomerVisits, seen_by: SeenBy) -> InterestsOf:
    """What customers looked at in their newest sessions, and what they have bought lately."""

    def interests_of(customer_id: str) -> Interests:
        sessions = visits.newest_sessions(customer_id, _SESSIONS)
        return Interests(
            seen=[item for session_id in sessions for item in seen_by(session_id)],
            bought=items_bought(database, customer_id, most=_ORDERS),
        )

    return interests_of


def counting_missing(collector: CollectorSettings) -> Missing:
    """How many samples of a truck have not arrived, by the completeness ledger."""

    def missing(truck_id: str) -> int:
        with queries.opened_reader(collector.store_url) as reader:
            if reader is None:
                return 0
            return sum(ledger.missing().count for ledger in reader.ledgers(truck_id).values())

    return missing


def reading_sessions(store_url: str) -> SeenBy:
    """What sessions looked at, through a connection of each call's own."""

    def seen_by(session_id: str) -> list[str]:
        with queries.opened_reader(store_url) as reader:
            return queries.items_of_session(reader, session_id)

    return seen_by


def reading_positions(store_url: str) -> Locate:
    """Positions from the collector's store, through a connection of each call's own: calls come from many threads.

    Args:
        store_url: of the store; it need not exist yet.

    Returns:
        A function of a truck_id and an instant (None: now) that gives collector.queries.position.
    """

    def locate(truck_id: str, at: str | None) -> dict[str, object] | None:
        with queries.opened_reader(store_url) as reader:
            return queries.position(reader, truck_id, at)

    return locate
