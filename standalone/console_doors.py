"""Joins the console to one machine: its page, its read API and /metrics in the same HTTP server."""

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from starlette.routing import BaseRoute

from alerts.acknowledgement import acknowledge
from alerts.queries import find_kept, kept_alerts
from alerts.writing import Writing
from collector import queries
from collector.settings import CollectorSettings
from collector.stores.factory import open_store
from commerce.queries import Database, order_list
from commerce.registers.documents import KINDS
from commerce.registers.register import Register
from commerce.routes.plans import Plans
from console import metrics, pages, run_reports, sign_in, truck_tables, zone_editing
from console.access import ConsoleAccess
from console.api import Api, ConsoleSources
from console.metrics import Metrics
from console.settings import ConsoleSettings
from contract import machine_clock
from contract.codec import Json
from contract.fleet import read_zones
from contract.http_access import HttpSettings
from warehouse.settings import WarehouseSettings

_READERS_AT_ONCE = 4
_READ_SECONDS = 10.0


def console_doors(  # noqa: PLR0913 - each room's settings
    database: Database,
    collector: CollectorSettings,
    settings: ConsoleSettings,
    http: HttpSettings,
    warehouse: WarehouseSettings,
    *,
    zones: Path,
    health: Callable[[], Mapping[str, Json]],
) -> list[BaseRoute]:
    """The routes of the console.

    Args:
        database: the open one of commerce.
        collector: where the store is.
        settings: who may see it from elsewhere.
        http: which proxies are trusted.
        warehouse: where the marts are.
        zones: the file of the zones, which is read when a page asks, and which operators edit.
        health: figures of the running service.
    """
    access = ConsoleAccess(settings, http.networks)
    open_reader = queries.limited_readers(collector.store_url, at_once=_READERS_AT_ONCE, seconds=_READ_SECONDS)
    plans = Plans(database)
    grace_ms = int(collector.resend_after * 1000)

    def orders(most: int) -> list[dict[str, Any]]:
        return order_list(database, most=most)

    def acknowledged(alert_id: str, by: str, note: str) -> bool:
        at = machine_clock.now()
        with closing(open_store(collector.store_url, make=False)) as store:
            alert = find_kept(store, alert_id)
            if alert is not None:
                acknowledge(store, Writing(lambda act: act(store)), alert, by=by, at=at, note=note)
        return alert is not None

    sources = ConsoleSources(
        open_reader,
        orders=orders,
        alerts=lambda reader, most: kept_alerts(reader, most=most),
        acknowledge=acknowledged,
        health=health,
        grace_ms=grace_ms,
        truck_table=lambda *asked: truck_tables.rows(*asked, data_dir=collector.data_dir, settings=warehouse),
        zones=lambda: read_zones(zones),
        zones_editable=True,
        vehicles=Register(database, KINDS["vehicle"]).all_current,
        plans=plans.all,
        plan=plans.compared,
    )
    api = Api(sources, access)
    measured = Metrics(
        open_reader,
        api.view,
        alerts=lambda reader: (alert for alert in kept_alerts(reader) if alert["end"] is None),
        health=health,
        folder=collector.data_dir,
        grace_ms=grace_ms,
    )
    more = [*run_reports.routes(collector.data_dir, access), *zone_editing.routes(zones, access)]
    return [*api.routes, *sign_in.routes(access), *metrics.routes(measured, access), *more, *pages.routes(access)]


def own_sign_in(settings: ConsoleSettings) -> tuple[str, ...]:
    """The paths that judge a request from elsewhere themselves, as standalone.http_gate takes them."""
    if not settings.is_open_elsewhere:
        return ()
    return (
        *(path for path in pages.PATHS if "{" not in path),
        "/truck/*",
        "/runs",
        "/runs/*",
        "/static/*",
        "/api/v1/*",
        "/metrics",
    )
