"""Joins the console to one machine: its page and its read API in the same HTTP server."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from starlette.routing import BaseRoute

from collector import queries
from collector.settings import CollectorSettings
from commerce.queries import order_list
from commerce.settings import CommerceSettings
from commerce.storage.database import open_database
from console import pages
from console.api import Api
from contract.codec import Json


def open_console_doors(
    stack: ExitStack,
    collector: CollectorSettings,
    commerce: CommerceSettings,
    *,
    health: Callable[[], Mapping[str, Json]] = dict,
) -> list[BaseRoute]:
    """The routes of the console, with what stands behind them open until the stack closes."""
    database = open_database(commerce.database_url(collector.data_dir))
    stack.callback(database.close)

    def orders(most: int) -> list[dict[str, Any]]:
        return order_list(database, most=most)

    api = Api(
        lambda: queries.opened_reader(collector.store_url),
        orders=orders,
        health=health,
        grace_ms=int(collector.resend_after * 1000),
    )
    return [*api.routes, *pages.routes()]
