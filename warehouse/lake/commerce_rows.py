"""The documents of commerce as Arrow batches for DuckDB: orders, their events, plans, and versions of its registers."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from commerce.queries import Database, events_that_count, placed_orders, register_versions, routes_in_force
from contract.codec import dump

DOCUMENT = pa.schema(
    [
        ("id", pa.string()),
        ("part", pa.string()),
        ("began", pa.string()),
        ("ended", pa.string()),
        ("received_ms", pa.int64()),
        ("wire", pa.string()),
    ]
)
Row = tuple[Any, ...]


def rows(table: str, shop: Database) -> Iterator[Row]:
    """Rows of DOCUMENT for one of the lake's tables of commerce.

    Args:
        table: one of `warehouse.lake.tables.COMMERCE`, by name.
        shop: the database of commerce.
    """
    if table == "order_state":
        return _states(shop)
    if table == "order_event":
        return _events(shop)
    if table == "planned_route":
        return _routes(shop)
    if table == "planned_stop":
        return _stops(shop)
    return _versions(shop, table.removesuffix("_version"))


def _states(shop: Database) -> Iterator[Row]:
    """Orders that were placed; events without an order yet are in order_event."""
    for state, text in placed_orders(shop):
        yield state["order_id"], None, state["placed_at"], None, None, text


def _events(shop: Database) -> Iterator[Row]:
    for order_id, event, at in events_that_count(shop):
        yield order_id, event.id, at, None, event.received_ms, dump(event.record)


def _routes(shop: Database) -> Iterator[Row]:
    for route in routes_in_force(shop):
        document = {name: value for name, value in route.items() if name != "stops"}
        yield route["truck_id"], route["plan_id"], route["day"], None, None, dump(document)


def _stops(shop: Database) -> Iterator[Row]:
    for route in routes_in_force(shop):
        about = {name: route[name] for name in ("truck_id", "made_at")}
        for stop in route["stops"]:
            yield stop["order_id"], route["plan_id"], route["day"], None, None, dump({**about, **stop})


def _versions(shop: Database, kind: str) -> Iterator[Row]:
    for version in register_versions(shop, kind):
        began, ended = version["effective_start_date"], version["effective_end_date"]
        yield version["subject_id"], None, began, ended, None, dump(version["document"])
