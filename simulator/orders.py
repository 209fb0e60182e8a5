"""What becomes of a purchase: the order that the shop posts, and every event of its way to the customer.

An order is brought by a simulated truck on its own tour: loaded where the truck stands next, at the depot or at one of
the shop's branches, which are the stops of its tour, and delivered while it stands at a later one. Where a truck stands
and when follows from its name, so the whole way of an order is known when it is placed. The shop then posts each event
when its time has come. Some orders come late, some fail, come back, or are cancelled.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import NamedTuple

from contract import timestamps
from contract.codec import Json
from simulator.customers import CURRENCY
from simulator.shopper import Event
from simulator.vehicle import Vehicle

ODDS = {"cancelled": 0.08, "failed": 0.1, "returned": 0.08, "late": 0.14}
"""How often an order goes another way than placed, loaded, delivered in time."""

_LOOK_AHEAD_S = 24 * 3600.0
_CHOICE = 4  # the soonest deliveries from which a customer chooses
_LOADING_S = 60.0
_QUARTER_MS = 15 * 60_000


class Request(NamedTuple):
    """One HTTP request of the shop's.

    subject: order_id, customer_id, item_id or truck_id. kind: `placed` for the order itself, the type of its event, or
    the register. due_ms: Unix ms. customer_id: of an order.
    """

    subject: str
    kind: str
    method: str
    path: str
    body: dict[str, Json]
    due_ms: int
    customer_id: str | None = None


class Standing(NamedTuple):
    """A truck at rest at the depot or at a stop. begin, end: Unix seconds; metres: how far into the tour."""

    begin: float
    end: float
    metres: float
    at_depot: bool
    place: tuple[float, float]


class DeliveryOption(NamedTuple):
    """One way in which an order can reach a stop. loaded, delivered: Unix seconds."""

    truck_id: str
    loaded: float
    delivered: float
    metres: float
    place: tuple[float, float]


class Dispatch:
    """Knows where the trucks of a fleet stand and when; belongs to one thread."""

    def __init__(self, truck_ids: Sequence[str], seed: int) -> None:
        self._vehicles = {truck_id: Vehicle(truck_id, seed) for truck_id in truck_ids}
        self._known: dict[str, tuple[float, float, list[Standing]]] = {}

    def soonest(self, ready: float) -> list[DeliveryOption]:
        """The deliveries that trucks can make next of what is packed at `ready` (Unix seconds), the soonest first."""
        found = [delivery for truck_id in self._vehicles for delivery in self._next(truck_id, ready)]
        return sorted(found, key=lambda delivery: delivery.delivered)

    def again(self, tried: DeliveryOption, after: float) -> DeliveryOption | None:
        """The truck's next visit to the same stop, loaded anew at the depot before; None within a day."""
        loaded = None
        for standing in self._standings(tried.truck_id, after):
            if standing.begin < after:
                continue
            if standing.at_depot:
                loaded = _middle(standing)
            elif loaded and abs(standing.metres - tried.metres) < 1.0:
                return tried._replace(loaded=loaded, delivered=_middle(standing))
        return None

    def _next(self, truck_id: str, ready: float) -> list[DeliveryOption]:
        """To every stop left on the tour on which the truck can take the order."""
        found: list[DeliveryOption] = []
        loaded: float | None = None
        for standing in self._standings(truck_id, ready):
            if loaded is not None and not standing.at_depot:
                found.append(DeliveryOption(truck_id, loaded, _middle(standing), standing.metres, standing.place))
            elif found:
                return found
            elif loaded is None or standing.at_depot:
                begin = max(standing.begin, ready) + _LOADING_S
                loaded = begin if begin < standing.end else None
        return found

    def _standings(self, truck_id: str, after: float) -> list[Standing]:
        begin, end, known = self._known.get(truck_id, (0.0, 0.0, []))
        if not begin <= after <= end - _LOOK_AHEAD_S / 2:
            begin, end = after - 3600.0, after + _LOOK_AHEAD_S
            known = list(standings(self._vehicles[truck_id], begin, end))
            self._known[truck_id] = begin, end, known
        return [standing for standing in known if standing.end > after]


def standings(vehicle: Vehicle, begin: float, end: float) -> Iterator[Standing]:
    """Where a truck rests between two moments (Unix seconds), in time order; waiting at a red light is no rest."""
    found: Standing | None = None
    for at, phase in vehicle.phases(begin, end):
        if phase.kind != "standing":
            continue
        if found and abs(found.end - at) < 0.01:
            found = found._replace(end=at + phase.seconds)
            continue
        if found:
            yield found
        at_depot = phase.metres > vehicle.route.length - 1.0
        latitude, longitude, _ = vehicle.route.place(min(phase.metres, vehicle.route.length))
        found = Standing(at, at + phase.seconds, phase.metres, at_depot, (latitude, longitude))
    if found:
        yield found


@dataclass(frozen=True, slots=True)
class Fulfilment:
    """Turns purchases into requests. dispatch: of the trucks that deliver; seed: the dice's."""

    dispatch: Dispatch
    seed: int

    def requests(self, purchase: Event, lines: Sequence[dict[str, Json]], now: datetime) -> list[Request]:
        """The order of a purchase and its events, each with the moment when it happens.

        Args:
            purchase: the shopper's event, with order_id, session_id and customer_id.
            lines: what was bought.
            now: when.

        Returns:
            In the order in which they are to be posted where two are due at once; now and then an event comes before
            its order, as the messages of two systems do.
        """
        order_id = str(purchase["order_id"])
        dice = Random(f"{self.seed}:{order_id}")
        placed = now.timestamp()
        packed = placed + dice.uniform(60, 300)
        choice = self.dispatch.soonest(packed)[:_CHOICE]
        chosen = dice.choice(choice) if choice else None
        roll = dice.random()
        fate = next((name for name, bound in _bounds() if roll < bound), "delivered")
        steps: list[Step] = [("paid", placed + dice.uniform(0, 20), None), ("packed", packed, None)]
        steps += _way(fate, chosen, self.dispatch, dice) if chosen else []
        if fate == "cancelled":
            last = min(packed + 120, chosen.loaded) if chosen else packed + 120
            steps = [*steps[: dice.choice((1, 2))], ("cancelled", last - 1, None)]
        order = _order(purchase, lines, placed, chosen, promised=_promise(fate, chosen, placed, dice))
        events = [_event(order_id, number, *step) for number, step in enumerate(steps, start=1)]
        if dice.random() < 0.05:
            return [events[0]._replace(due_ms=order.due_ms), order, *events[1:]]
        return [order, *events]


def _bounds() -> Iterator[tuple[str, float]]:
    total = 0.0
    for name, odds in ODDS.items():
        total += odds
        yield name, total


Step = tuple[str, float, str | None]
"""An event's type, its Unix seconds, and the truck of a `loaded`."""


def _way(fate: str, chosen: DeliveryOption, dispatch: Dispatch, dice: Random) -> list[Step]:
    """From the loading on."""
    steps: list[Step] = [("loaded", chosen.loaded, chosen.truck_id)]
    if fate == "failed":
        steps.append(("failed", chosen.delivered, None))
        second = dispatch.again(chosen, chosen.delivered)
        if second and dice.random() < 0.6:
            return [*steps, ("loaded", second.loaded, second.truck_id), ("delivered", second.delivered, None)]
        return [*steps, ("returned", chosen.delivered + dice.uniform(1800, 3600), None)]
    steps.append(("delivered", chosen.delivered, None))
    if fate == "returned":
        steps.append(("returned", chosen.delivered + dice.uniform(600, 3600), None))
    return steps


def _promise(fate: str, chosen: DeliveryOption | None, placed: float, dice: Random) -> int:
    """When the shop says it will be there, in Unix ms: a full quarter of an hour, too early where it comes late."""
    if chosen is None:
        return int((placed + 86_400) * 1000) // _QUARTER_MS * _QUARTER_MS
    if fate == "late":
        return int((chosen.delivered - dice.uniform(120, 1500)) * 1000)
    return (int((chosen.delivered + dice.uniform(300, 1800)) * 1000) // _QUARTER_MS + 1) * _QUARTER_MS


def _order(
    purchase: Event, lines: Sequence[dict[str, Json]], placed: float, chosen: DeliveryOption | None, *, promised: int
) -> Request:
    body: dict[str, Json] = {name: purchase.get(name) for name in ("order_id", "customer_id", "session_id")}
    body |= {
        "currency": CURRENCY,
        "lines": list(lines),
        "payment_method": "invoice",
        "placed_at": _time(placed),
        "promised_at": timestamps.from_ms(promised),
    }
    if chosen:
        latitude, longitude = chosen.place
        body["shipping"] = {"country": "DE", "latitude": round(latitude, 6), "longitude": round(longitude, 6)}
    customer_id = purchase.get("customer_id")
    return Request(str(purchase["order_id"]), "placed", "POST", "/v1/orders", body, int(placed * 1000), customer_id)


def _event(order_id: str, number: int, kind: str, at: float, truck_id: str | None) -> Request:
    body: dict[str, Json] = {"event_id": f"{order_id}:{number}:{kind}", "type": kind, "at": _time(at)}
    if truck_id:
        body["truck_id"] = truck_id
    return Request(order_id, kind, "POST", f"/v1/orders/{order_id}/events", body, int(at * 1000))


def _middle(standing: Standing) -> float:
    return (standing.begin + standing.end) / 2


def _time(seconds: float) -> str:
    return timestamps.from_datetime(datetime.fromtimestamp(seconds, UTC))
