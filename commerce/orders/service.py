"""Takes orders and their events: judged, kept durably, answered with a receipt."""

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

from sqlalchemy import Connection, Table, select, update

from commerce.fields import Accepted, identifier_of_path
from commerce.orders.forgotten import event_without_forgotten, rewrite, scrubbed_event, without_forgotten
from commerce.orders.state import Content, Standing, order_state, standing_at
from commerce.orders.wire import read_event, read_order
from commerce.storage.database import Database
from commerce.storage.dead_letters import Arrival, keep_dead_letter
from commerce.storage.schema import order_contents, order_events, order_states, orders, tracking_tokens
from contract.codec import Json, dump, parse
from contract.errors import Rejected
from contract.forgotten import Forgotten

T = TypeVar("T")
Status = Literal["accepted", "duplicate", "conflict", "waiting"]


@dataclass(frozen=True, slots=True)
class OrderReceipt:
    """What became of one document.

    status: `accepted` (new), `duplicate` (this content is known), `conflict` (another content has this id: both are
    kept), `waiting` (a new event before its order). token: the tracking token, given once, with a new order.
    """

    id: str
    status: Status
    warnings: dict[str, str]
    token: str | None = None


class Orders:
    """The log of orders and their events in one database.

    Each call is one transaction, durable when it returns. Calls may be repeated, come in any order and from several
    processes at once: the state of an order is the same.
    """

    def __init__(
        self,
        database: Database,
        *,
        knows_truck: Callable[[str], bool] = lambda _: True,
        forgotten: Forgotten | None = None,
    ) -> None:
        """
        Args:
            database: where they are kept.
            knows_truck: whether a truck was ever heard of; a `loaded` event with another one is kept with a warning.
            forgotten: who must not be stored again.
        """
        self._database, self._knows_truck, self._forgotten = database, knows_truck, forgotten

    def take_order(self, document: Json, *, received_ms: int, payload: bytes) -> OrderReceipt:
        """Keep one order.

        Args:
            document: the parsed body.
            received_ms: Unix ms of its arrival.
            payload: the bytes as they came, for the dead letters.

        Returns:
            What became of it, and the tracking token of a new order; durable when it returns.

        Raises:
            Rejected: it cannot be kept as an order; it is in the dead letters (without its bytes if they hold card
                data).
            Retryable: the database failed, nothing was kept.
        """
        accepted = self._judged(read_order, document, Arrival(received_ms, payload, "http:orders"))
        came = accepted
        if self._forgotten is not None:
            accepted = without_forgotten(accepted, self._forgotten, received_ms)
        with self._database.write() as connection:
            self._lock(connection, accepted.id)
            early = 0 if accepted is came else rewrite(connection, order_events, accepted.id, scrubbed_event)
            status = self._keep(connection, order_contents, {"order_id": accepted.id}, accepted, received_ms)
            token = secrets.token_urlsafe(16) if status == "accepted" else None
            if token:
                row = {"order_id": accepted.id, "token": hash_token(token)}
                connection.execute(tracking_tokens.insert().values(**row))
            self._recompute(connection, accepted.id)
        if early:  # events that came before their order, when nobody knew whose they are
            self._database.fold_log()
        return OrderReceipt(accepted.id, status, accepted.warnings, token)

    def take_event(self, order_id: str, document: Json, *, received_ms: int, payload: bytes) -> OrderReceipt:
        """Keep one event of an order, which need not be known yet.

        Args:
            order_id: of the path.
            document: the parsed body.
            received_ms: Unix ms of its arrival.
            payload: the bytes as they came, for the dead letters.

        Returns:
            As for `take_order`.

        Raises:
            Rejected: it cannot be kept; it is in the dead letters.
            Retryable: the database failed, nothing was kept.
        """
        arrival = Arrival(received_ms, payload, "http:order-events")
        accepted = self._judged(read_event, document, arrival)
        order_id = self._judged(lambda value: identifier_of_path(value, "order_id"), order_id, arrival)
        warnings = dict(accepted.warnings)
        truck_id = accepted.record.get("truck_id")
        if truck_id and not self._knows_truck(truck_id):
            warnings["truck_id"] = f"no sample of {truck_id} has come yet: its position is unknown until one does"
        with self._database.write() as connection:
            self._lock(connection, order_id)
            if self._forgotten is not None:
                accepted = event_without_forgotten(connection, order_id, accepted, self._forgotten, received_ms)
            names = {"order_id": order_id, "event_id": accepted.id}
            status = self._keep(connection, order_events, names, accepted, received_ms)
            state = self._recompute(connection, order_id)
        if status == "accepted" and state["state"] == "waiting":
            status = "waiting"
        return OrderReceipt(accepted.id, status, warnings)

    def state(self, order_id: str) -> dict[str, Any] | None:
        """The state of one order (`commerce.orders.state.order_state`).

        Args:
            order_id: whose.

        Returns:
            None for an order that nobody named.
        """
        with self._database.read() as connection:
            row = connection.execute(
                select(order_states.c.document).where(order_states.c.order_id == order_id)
            ).scalar_one_or_none()
        return None if row is None else cast(dict[str, Any], parse(row))

    def standing(self, order_id: str, at: str) -> Standing:
        """How far an order was at a past moment, and on which truck.

        Args:
            order_id: whose.
            at: RFC 3339, UTC.

        Returns:
            By the events that have come so far (`commerce.orders.state.standing_at`).
        """
        with self._database.read() as connection:
            contents = _contents(connection, order_contents, "order_id", order_id)
            events = _contents(connection, order_events, "event_id", order_id)
        return standing_at(contents, events, at)

    def has_token(self, order_id: str, token: str) -> bool:
        """Whether somebody may see an order.

        Args:
            order_id: whose.
            token: what they brought.

        Returns:
            Whether it is that order's tracking token; False for an unknown order.
        """
        with self._database.read() as connection:
            kept = connection.execute(
                select(tracking_tokens.c.token).where(tracking_tokens.c.order_id == order_id)
            ).scalar_one_or_none()
        return secrets.compare_digest(kept or "", hash_token(token))

    def recompute(self, order_ids: Sequence[str] | None = None) -> int:
        """Write the state of orders anew from their log.

        Args:
            order_ids: of these; None for all.

        Returns:
            How many differed.
        """
        with self._database.read() as connection:
            known = order_ids or list(connection.execute(select(orders.c.order_id)).scalars())
        differed = 0
        for order_id in known:
            with self._database.write() as connection:
                self._lock(connection, order_id)
                before = connection.execute(
                    select(order_states.c.document).where(order_states.c.order_id == order_id)
                ).scalar_one_or_none()
                differed += dump(self._recompute(connection, order_id)) != before
        return differed

    def _judged(self, read: Callable[[Json], T], document: Json, arrival: Arrival) -> T:
        try:
            return read(document)
        except Rejected as error:
            self.keep_refused(arrival, error)
            raise

    def keep_refused(self, arrival: Arrival, error: Rejected) -> None:
        """Keep what was refused as a dead letter.

        Args:
            arrival: what came.
            error: the field and the reason.
        """
        keep_dead_letter(self._database, arrival, error, forgotten=self._forgotten)

    def _lock(self, connection: Connection, order_id: str) -> None:
        """One writer at a time for an order: PostgreSQL by its row, SQLite has one writer anyway."""
        connection.execute(self._database.insert(orders).values(order_id=order_id).on_conflict_do_nothing())
        connection.execute(select(orders).where(orders.c.order_id == order_id).with_for_update())

    def _keep(
        self, connection: Connection, table: Table, names: dict[str, str], accepted: Accepted, received_ms: int
    ) -> Status:
        where = [table.c[name] == value for name, value in names.items()]
        known = {
            row.content: row.received_ms
            for row in connection.execute(select(table.c.content, table.c.received_ms).where(*where))
        }
        if accepted.content in known:
            if received_ms < known[accepted.content]:  # another process may have taken an earlier delivery later
                earlier = update(table).where(*where, table.c.content == accepted.content)
                connection.execute(earlier.values(received_ms=received_ms))
            return "duplicate"
        row = {**names, "content": accepted.content, "received_ms": received_ms, "document": accepted.text}
        connection.execute(table.insert().values(**row))
        return "conflict" if known else "accepted"

    def _recompute(self, connection: Connection, order_id: str) -> dict[str, Any]:
        contents = _contents(connection, order_contents, "order_id", order_id)
        events = _contents(connection, order_events, "event_id", order_id)
        state = order_state(order_id, contents, events)
        row = {name: state[name] for name in ("state", "customer_id", "truck_id", "placed_at", "promised_at")}
        row["document"] = dump(state)
        insert = self._database.insert(order_states).values(order_id=order_id, **row)
        connection.execute(insert.on_conflict_do_update(index_elements=["order_id"], set_=row))
        return state


def _contents(connection: Connection, table: Table, id_name: str, order_id: str) -> Sequence[Content]:
    rows = connection.execute(select(table).where(table.c.order_id == order_id))
    return [Content(getattr(row, id_name), row.content, row.received_ms, parse(row.document)) for row in rows]


def hash_token(token: str) -> str:
    """What is kept of a tracking token."""
    return hashlib.sha256(token.encode()).hexdigest()
