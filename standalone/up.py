"""What `milepost up` composes: the settings of every room, one machine made of them, and the simulator beside it."""

import importlib.util
import logging
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from alerts.reports import ReportSettings
from alerts.settings import AlertSettings
from collector.beacon.settings import BeaconSettings
from collector.settings import CollectorSettings
from commerce.customers.money import Money
from commerce.queries import states_of
from commerce.settings import CommerceSettings
from commerce.storage.database import open_database
from console.settings import ConsoleSettings
from contract import timestamps
from contract.errors import Misconfigured
from contract.fleet import FleetSettings
from contract.http_access import HttpSettings
from contract.settings import load
from provisioning.settings import ProvisioningSettings
from simulator import sent_ledger
from simulator.shop import ShopSite
from simulator.trucks import truck_ids
from standalone.analysts_pages import AnalystsPages
from standalone.balanced_run import BalancedRun, Simulation
from standalone.console_doors import own_sign_in
from standalone.kafka_doors import KafkaDoors
from standalone.live_view import View
from standalone.room_doors import Rooms
from standalone.standalone import Standalone
from standalone.truck_access import TruckAccess, open_identities
from warehouse.settings import WarehouseSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The options of `milepost up`.

    minutes: None until stopped. host, port: of the HTTP doors; port 0 takes a free one. broker: URL of an MQTT broker
    to use, None starts one. stream: `kafka://…` between doors and collector. dashboard: the analysts' pages
    too. config: the milepost.toml for all rooms.
    """

    trucks: int
    shoppers: int
    minutes: float | None
    speedup: float
    host: str
    port: int
    broker: str | None
    stream: str | None
    dashboard: bool
    config: Path | None


def one_machine(collector: CollectorSettings, asked: Asked) -> Standalone:
    """Broker, doors, console, commerce and alerts over one data directory; not started yet.

    Args:
        collector: the room's settings; its data directory is everybody's.
        asked: what of it, and where the other rooms' settings are.

    Returns:
        A machine to be entered.

    Raises:
        Misconfigured: a setting that cannot be read, or an extra that is not installed.
    """
    config = asked.config
    http, seen_by = load("http", HttpSettings, config), load("console", ConsoleSettings, config)
    commerce, money = load("commerce", CommerceSettings, config), load("warehouse", Money, config)
    identities = None if asked.broker else _identities(collector.data_dir, asked)
    rooms = Rooms(
        collector,
        commerce,
        http,
        money,
        seen_by,
        load("alerts", AlertSettings, config),
        load("fleet", FleetSettings, config),
        load("warehouse", WarehouseSettings, config),
        load("reports", ReportSettings, config),
        identities.certificates if identities else tuple,
    )
    one_page, pages = ShopSite("/demo-shop/app", single_page=True, orders=True), ShopSite("/demo-shop", orders=True)
    return Standalone(
        collector,
        load("beacon", BeaconSettings, config),
        port=asked.port,
        broker_url=asked.broker,
        identities=identities,
        doors=[rooms.doors, lambda *_: [*one_page.routes, *pages.routes]],
        own_sign_in=own_sign_in(seen_by),
        companions=rooms.companions,
        host=asked.host,
        http=http,
        stream=None if asked.stream is None else _kafka_doors(asked.stream, collector.data_dir, config),
    )


def run_beside(box: Any, store_url: str, asked: Asked, stop: threading.Event, console: Console) -> dict[str, Any]:
    """Run the simulator against a box that has been entered, and show it, until the end or `stop`.

    Args:
        box: a Standalone, or what stands for one (deploy.local_stack), which takes no orders.
        store_url: of the store that the box writes.
        asked: what runs beside it.
        stop: ends it early.
        console: where it is shown.

    Returns:
        The summary: per truck, of clicks and of orders, what was asked for beside what ran.
    """
    own_doors = isinstance(box, Standalone)
    ends_at = None if asked.minutes is None else time.time() + asked.minutes * 60
    commerce = load("commerce", CommerceSettings, asked.config)
    with closing(open_database(commerce.database_url(box.folder))) as placed, ExitStack() as stack:
        counts = {"trucks": asked.trucks, "shoppers": asked.shoppers}
        commands = _commands(box, asked, ends_at, orders=own_doors)
        simulation = Simulation(
            {name: argv for name, argv in commands.items() if counts[name]},
            counts,
            sent_ledger.sampled,
            sent_ledger.clicks,
            sent_ledger.orders,
            partial(states_of, placed),
        )
        if own_doors:
            console.print(f"Console: {box.web.url}/   Demo shop: {box.web.url}/demo-shop/", highlight=False)
        if asked.dashboard:
            pages = AnalystsPages(box.children, box.folder, asked.config, any_port=not asked.port)
            stack.enter_context(pages)
            console.print(f"Dashboard: {pages.url}/ (marts are built each minute)", highlight=False)
        with View(console, f"{box.web.url}  {box.mqtt_url}  {box.folder}") as view:
            return BalancedRun(box, store_url, simulation, stop).go(ends_at, view)


def _commands(box: Any, asked: Asked, ends_at: float | None, *, orders: bool) -> dict[str, Sequence[str]]:
    """Argv of the simulator's two processes. ends_at: Unix seconds. orders: the shoppers' orders ride on the trucks."""
    call = [sys.executable, "-P", "-m", "milepost", "simulate"]  # -P: nothing of the caller's folder
    shared = ["--data-dir", str(box.folder), *(["--config", str(asked.config)] if asked.config else [])]
    until = [] if ends_at is None else ["--until", timestamps.from_ms(int(ends_at * 1000))]
    pace = ["--speedup", str(asked.speedup), *until]
    brought_by = ["--trucks", str(asked.trucks), *pace] if orders else []
    return {
        "trucks": [*call, "trucks", "--count", str(asked.trucks), "--broker", box.mqtt_url, *pace, *shared],
        "shoppers": [*call, "shoppers", "--count", str(asked.shoppers), "--url", box.web.url, *brought_by, *shared],
    }


def _kafka_doors(url: str, data_dir: Path, config: Path | None) -> KafkaDoors:
    """What stands between doors and collector; its worker writes to the same data directory."""
    if importlib.util.find_spec("confluent_kafka") is None:
        raise Misconfigured("--stream needs pip install 'milepost[kafka]'")
    from collector.streams.kafka import KafkaAddress, KafkaSettings

    shared = ["--data-dir", str(data_dir), *(["--config", str(config)] if config else [])]
    return KafkaDoors(url, KafkaAddress.of(url, load("kafka", KafkaSettings, config)), shared)


def _identities(data_dir: Path, asked: Asked) -> TruckAccess | None:
    """Of `milepost provision`, if there are any; then who enrolled is logged too, not only what was refused."""
    settings = load("provisioning", ProvisioningSettings, asked.config)
    if identities := open_identities(data_dir, settings, truck_ids(asked.trucks)):
        logging.getLogger("provisioning").setLevel(logging.INFO)
    return identities
