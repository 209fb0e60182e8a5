"""What other rooms do on one machine: doors on its port and loops, over stores that are opened here, once."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from starlette.routing import BaseRoute

from alerts.settings import AlertSettings
from collector.settings import CollectorSettings
from commerce.customers.money import Money
from commerce.queries import Database, order_list
from commerce.settings import CommerceSettings
from commerce.storage.database import open_database
from console.settings import ConsoleSettings
from contract.codec import Json
from contract.http_access import HttpSettings
from standalone.alert_loops import Loop, alert_loops
from standalone.commerce_doors import commerce_doors
from standalone.console_doors import console_doors
from standalone.group_commit_writer import Writer

_NEWEST_ORDERS = 1_000


@dataclass
class Rooms:
    """Commerce, console and alerts, each with its settings: `doors` and `companions` are what Standalone takes."""

    collector: CollectorSettings
    commerce: CommerceSettings
    http: HttpSettings
    money: Money
    console: ConsoleSettings
    alerts: AlertSettings
    _database: Database | None = None

    def doors(self, stack: ExitStack, health: Callable[[], Mapping[str, Json]]) -> list[BaseRoute]:
        """The routes, with what stands behind them open until the stack closes. health: figures of the service.

        Raises:
            Misconfigured: a database URL of another kind, or a newer schema.
            Unreachable: the database does not answer.
        """
        database = self._database = open_database(self.commerce.database_url(self.collector.data_dir))
        stack.callback(database.close)
        return [
            *commerce_doors(database, self.collector, self.commerce, self.http, self.money),
            *console_doors(database, self.collector, self.console, self.http, health=health),
        ]

    def companions(self, writer: Writer) -> Sequence[Loop]:
        """The loops of alerts; after `doors`.

        Raises:
            Misconfigured: the rules cannot be read.
        """

        def orders() -> list[dict[str, Any]]:
            return order_list(self._database, most=_NEWEST_ORDERS) if self._database else []

        return alert_loops(self.alerts, self.collector.store_url, orders, writer)
