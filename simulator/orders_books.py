"""What the shop writes down of its shoppers' events: who signed in, what was ordered, and what it therefore posts."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from contract.codec import Json
from simulator.customers import item_documents, vehicle_documents
from simulator.orders import Dispatch, Fulfilment, Request
from simulator.outbox import Outbox
from simulator.shopper import Event, Shopper, bought_lines


class ShopBooks:
    """The shop's side of one outbox; belongs to one thread. trucks: those that deliver."""

    def __init__(self, outbox: Outbox, trucks: Sequence[str], seed: int) -> None:
        self._outbox, self._trucks, self._seed = outbox, trucks, seed
        self._fulfilment = Fulfilment(Dispatch(trucks, seed), seed)
        self._orders = Counter(outbox.ordered_by())
        self._known = outbox.requested("customer")

    def open(self) -> None:
        """Register the catalogue and the trucks, once for this outbox."""
        known = self._outbox.requested("item") | self._outbox.requested("vehicle")
        documents = [("item", document) for document in item_documents(self._seed)]
        documents += [("vehicle", document) for document in vehicle_documents(self._trucks, self._seed)]
        puts = [_put(kind, document, 0) for kind, document in documents]
        self._outbox.add([], [put for put in puts if put.subject not in known])

    def note(self, shopper: Shopper, event: Event, now: datetime) -> list[Request]:
        """What is to be posted for one event."""
        now_ms = int(now.timestamp() * 1000)
        customer = shopper.account
        if event["event_type"] == "identify" and customer.customer_id not in self._known:
            self._known.add(customer.customer_id)
            return [_put("customer", customer.profile(self._orders[customer.customer_id], now), now_ms)]
        if event["event_type"] != "purchase":
            return []
        before = customer.profile(self._orders[customer.customer_id], now)
        self._orders[customer.customer_id] += 1
        after = customer.profile(self._orders[customer.customer_id], now)
        requests = self._fulfilment.requests(event, bought_lines(event), now)
        return requests if after == before else [*requests, _put("customer", after, now_ms)]


_ID_NAMES = {"customer": "customer_id", "item": "item_id", "vehicle": "truck_id"}


def _put(kind: str, document: dict[str, Json], due_ms: int) -> Request:
    subject = str(document[_ID_NAMES[kind]])
    return Request(subject, kind, "PUT", f"/v1/{kind}s/{subject}", document, due_ms)
