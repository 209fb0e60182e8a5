"""Joins the console to one machine: its page and its read API in the same HTTP server."""

from collections.abc import Callable, Mapping
from typing import Any

from starlette.routing import BaseRoute

from collector import queries
from collector.settings import CollectorSettings
from commerce.queries import Database, order_list
from console import pages
from console.api import Api
from contract.codec import Json


def console_doors(
    database: Database, collector: CollectorSettings, *, health: Callable[[], Mapping[str, Json]]
) -> list[BaseRoute]:
    """The routes of the console; database: the open one of commerce. health: figures of the running service."""

    def orders(most: int) -> list[dict[str, Any]]:
        return order_list(database, most=most)

    api = Api(
        lambda: queries.opened_reader(collector.store_url),
        orders=orders,
        health=health,
        grace_ms=int(collector.resend_after * 1000),
    )
    return [*api.routes, *pages.routes()]
