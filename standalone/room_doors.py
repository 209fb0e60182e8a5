"""What other rooms do on one machine: doors on its port and loops, over stores that are opened here, once."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from starlette.routing import BaseRoute

from alerts.fact_watch import FactSources
from alerts.facts import IssuedCertificate
from alerts.reports import ReportSettings
from alerts.settings import AlertSettings
from collector.settings import CollectorSettings
from commerce.customers.money import Money
from commerce.queries import Database, order, order_list
from commerce.settings import CommerceSettings
from commerce.storage.database import open_database
from console.settings import ConsoleSettings
from contract.codec import Json
from contract.fleet import FleetSettings, zones_file
from contract.http_access import HttpSettings
from standalone.alert_loops import Loop, QualityRun, alert_loops
from standalone.commerce_doors import commerce_doors
from standalone.console_doors import console_doors
from standalone.group_commit_writer import Writer
from standalone.report_loop import report_loops
from warehouse.settings import WarehouseSettings

_NEWEST_ORDERS = 1_000


@dataclass
class Rooms:
    """Commerce, console and alerts, each with its settings: `doors` and `companions` are what Standalone takes.

    certificates: as alerts.fact_watch.FactSources takes them.
    """

    collector: CollectorSettings
    commerce: CommerceSettings
    http: HttpSettings
    money: Money
    console: ConsoleSettings
    alerts: AlertSettings
    fleet: FleetSettings
    warehouse: WarehouseSettings
    reports: ReportSettings
    certificates: Callable[[], Iterable[IssuedCertificate]]
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
            *console_doors(
                database,
                self.collector,
                self.console,
                self.http,
                self.warehouse,
                zones=zones_file(self.fleet, self.collector.data_dir),
                health=health,
            ),
        ]

    def companions(self, writer: Writer) -> Sequence[Loop]:
        """The loops of alerts and reports; after `doors`.

        Raises:
            Misconfigured: the rules or the zones cannot be read, or a report cannot be sent.
        """
        zones = zones_file(self.fleet, self.collector.data_dir)

        def orders(named: Sequence[str]) -> list[dict[str, Any]]:
            if not self._database:
                return []
            newest = order_list(self._database, most=_NEWEST_ORDERS)
            others = set(named) - {each["order_id"] for each in newest}
            return [*newest, *(found for each in sorted(others) if (found := order(self._database, each)))]

        sources = FactSources(orders, self.certificates, QualityRun(self.collector.data_dir, self.warehouse))
        store, receivers = self.collector.store_url, self.alerts.receivers
        reporting = report_loops(
            self.reports.reports, receivers, self.collector.data_dir, self.warehouse, store, writer
        )
        fleet = self.fleet.model_copy(update={"zones": zones})
        return [*alert_loops(self.alerts, fleet, store, sources, writer), *reporting]
