"""The front door: one Typer app that mounts each room's commands lazily, so that a truck loads only what it runs.

Exit codes: 0 done, 1 some input rejected or a sample missing, 2 usage or configuration, 3 a service cannot be reached.
"""

import importlib
import importlib.util
import json
import logging
import os
import signal
import sys
import threading
import time
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from contract.errors import MilepostError, Misconfigured
from contract.log_format import configure_logging
from contract.process_guard import guard_process

COMMANDS: dict[str, tuple[str, str]] = {
    "up": ("milepost", "Run everything on this machine, with simulated trucks and shoppers."),
    "ingest": ("collector.cli", "Ingest JSON Lines files, of any age; safe to repeat."),
    "collect": ("collector.cli", "A worker behind Kafka: what it holds into the store; run as many as you need."),
    "trucks": ("collector.cli", "Show each truck's latest sample and current version."),
    "history": ("collector.cli", "Show a truck's versions: what was true from when until when."),
    "clicks": ("collector.cli", "Count what shoppers did, by item, minute, page, session or funnel."),
    "audit": ("collector.cli", "Report missing, thinned, lost and refused samples per truck and stream."),
    "dead-letters": ("collector.cli", "Refused input, with the reason: list, show, retry, discard."),
    "rebuild": ("collector.cli", "Recompute history and counters from the stored samples and events."),
    "backup": ("standalone.cli", "Copy every store of the data directory at one instant."),
    "restore": ("standalone.cli", "Put a backup in place."),
    "forget": ("standalone.forget_cli", "Forget a customer, or where a truck was, and prove it."),
    "verify": ("collector.cli", "Compare history and counters with the stored samples and events."),
    "agent": ("agent.cli", "The agent on the truck: run, once, status, doctor, enroll, install."),
    "rules": ("iot_rules.cli", "The AWS IoT rules: list, check, test, eval, deploy."),
    "provision": (
        "provisioning.cli",
        "Create, renew and revoke truck certificates: init, truck, bundle, import, status.",
    ),
    "lake": ("warehouse.cli", "Iceberg tables by day, made from the store: build, check, info."),
    "warehouse": ("warehouse.cli", "Marts in which each number is defined once: build, query, models."),
    "dashboard": ("dashboards.cli", "The analysts' pages over the marts, in the browser."),
    "cost": ("deploy.cost.cli", "Estimate what a fleet costs per month on AWS, beside two usual designs."),
    "orders": ("commerce.cli", "Orders: what was placed, and its state."),
    "recommend": ("commerce.cli", "Recommendations: train, evaluate, for."),
    "routes": ("commerce.cli", "Plan a day's deliveries over the trucks: plan, list, show."),
    "customers": ("commerce.cli", "Customers: profiles and what they ordered."),
    "items": ("commerce.cli", "The catalogue: import, list, show."),
    "fleet": ("commerce.cli", "Vehicles: tank, capacity, depot, driver: import, list, show."),
    "alerts": ("alerts.cli", "What needs attention: list, ack, rules, test."),
    "console": ("console.cli", "Who may sign in to the console from elsewhere."),
    "simulate": ("simulator.cli", "Run virtual trucks or shoppers on their own."),
}
"""Command → the module whose `app` has a command of that name (or is that group), and its line in the help."""


class LazyGroup(TyperGroup):
    """Imports a room only when one of its commands is called; its own help imports none."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        if module == "milepost":
            return super().get_command(ctx, cmd_name)
        try:
            mounted = typer.main.get_command(importlib.import_module(module).app)
        except ModuleNotFoundError as error:
            extra = {"iot_rules": "rules", "dashboards": "dashboard"}.get(room := module.split(".")[0], room)
            raise Misconfigured(f"{error}: `milepost {cmd_name}` needs pip install 'milepost[{extra}]'") from error
        return getattr(mounted, "commands", {}).get(cmd_name, mounted)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self.format_usage(ctx, formatter)
        formatter.write_paragraph()
        formatter.write_text(self.help or "")
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])
        formatter.write_paragraph()
        formatter.write_text("`milepost COMMAND --help` has the details.")


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _milepost() -> None:
    """Milepost follows every truck of a delivery fleet and every click of its web shop, and loses neither."""


@app.command()
def up(  # noqa: PLR0913 - one parameter an option
    *,
    trucks: Annotated[int, typer.Option(min=0, help="Simulated trucks, each with the real agent")] = 5,
    shoppers: Annotated[int, typer.Option(min=0, help="Simulated shoppers at the real beacon")] = 3,
    minutes: Annotated[
        float | None, typer.Option(min=0.0, help="End after so many minutes, then send what is left")
    ] = None,
    speedup: Annotated[
        float, typer.Option(min=0.001, help="How much faster the trucks' time runs; it ends at now")
    ] = 1,
    port: Annotated[int, typer.Option(min=0, max=65535, help="HTTP port; 0 takes a free one")] = 8080,
    host: Annotated[str, typer.Option(help="Address for HTTP; others than 127.0.0.1 need \\[http] TLS")] = "127.0.0.1",
    broker: Annotated[str | None, typer.Option(metavar="URL", help="Use this MQTT broker, start none")] = None,
    stream: Annotated[
        str | None,
        typer.Option(metavar="URL", help="kafka://HOST:PORT/PREFIX between doors and collector"),
    ] = None,
    aws: Annotated[bool, typer.Option("--aws", help="The AWS deployment, on a ministack of this machine")] = False,
    data_dir: Annotated[Path | None, typer.Option(help="Where everything is kept")] = None,
    config: Annotated[Path | None, typer.Option(help="A milepost.toml to use instead of the one found")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the closing summary as one JSON document")] = False,
) -> None:
    """Run everything on this machine: broker, rules, collector, beacon, and simulated trucks and shoppers.

    Ends with Ctrl-C, or by itself after --minutes with a summary (exit 1 unless it balances). Ready when
    DIR/up.json is there. Queries and `milepost ingest` work meanwhile. With --aws the AWS deployment runs instead, on a
    ministack that keeps what it holds in DIR/aws; `. DIR/aws/environment` lets the AWS CLI speak to it.
    """
    from rich.console import Console

    from alerts.settings import AlertSettings
    from collector.beacon.settings import BeaconSettings
    from collector.cli_options import settings_of
    from commerce.customers.money import Money
    from commerce.queries import states_of
    from commerce.settings import CommerceSettings
    from commerce.storage.database import open_database
    from console.settings import ConsoleSettings
    from contract import timestamps
    from contract.http_access import HttpSettings
    from contract.settings import load
    from simulator import sent_ledger
    from simulator.shop import ShopSite
    from standalone.balanced_run import Run, Simulation, balanced
    from standalone.console_doors import own_sign_in
    from standalone.live_view import View, show_summary
    from standalone.room_doors import Rooms
    from standalone.standalone import Standalone

    collector = settings_of(config, data_dir)
    stop, demo_shop = _stop_on_signals(), ShopSite("/demo-shop", orders=True)
    console = Console(stderr=as_json)
    identities = None if broker or aws else _identities(collector.data_dir, config, trucks)
    settings = load("beacon", BeaconSettings, config)
    http, shop = load("http", HttpSettings, config), load("commerce", CommerceSettings, config)
    money, seen_by = load("warehouse", Money, config), load("console", ConsoleSettings, config)
    rooms = Rooms(collector, shop, http, money, seen_by, load("alerts", AlertSettings, config))
    doors: list[Any] = [
        rooms.doors,
        lambda *_: [*ShopSite("/demo-shop/app", single_page=True, orders=True).routes, *demo_shop.routes],
    ]
    between = None if stream is None else _kafka_doors(stream, collector.data_dir, config)
    box: Any = Standalone(
        collector,
        settings,
        port=port,
        broker_url=broker,
        identities=identities,
        doors=doors,
        own_sign_in=own_sign_in(seen_by),
        companions=rooms.companions,
        host=host,
        http=http,
        stream=between,
    )
    store_url = collector.store_url
    if aws:
        from deploy.local_stack import STORE, LocalStack, refuse_others

        refuse_others(broker, stream)
        typer.echo(f"Deploying the stack to a ministack in {collector.data_dir / 'aws'}, kept there", err=True)
        box, store_url = LocalStack(collector.data_dir, port=port, track=collector.track), STORE
    with box, ExitStack() as stack:
        self_call = [sys.executable, "-P", "-m", "milepost", "simulate"]  # -P: nothing of the caller's folder
        shared = ["--data-dir", str(box.folder), *(["--config", str(config)] if config else [])]
        ends_at = None if minutes is None else time.time() + minutes * 60
        until = [] if ends_at is None else ["--until", timestamps.from_ms(int(ends_at * 1000))]
        driving = ["--count", str(trucks), "--broker", box.mqtt_url, "--speedup", str(speedup), *until]
        brought_by = (
            [] if aws else ["--trucks", str(trucks), "--speedup", str(speedup), *until]
        )  # AWS has no orders yet
        shopping = ["--count", str(shoppers), "--url", box.web.url, *brought_by]
        commands = {
            "trucks": [*self_call, "trucks", *driving, *shared],
            "shoppers": [*self_call, "shoppers", *shopping, *shared],
        }
        asked = {"trucks": trucks, "shoppers": shoppers}
        wanted = {name: argv for name, argv in commands.items() if asked[name]}
        placed = stack.enter_context(closing(open_database(shop.database_url(box.folder))))
        sent = Simulation(
            wanted, asked, sent_ledger.sampled, sent_ledger.clicks, sent_ledger.orders, partial(states_of, placed)
        )
        run = Run(box, store_url, sent, stop)
        if not aws:
            console.print(f"Console: {box.web.url}/   Demo shop: {box.web.url}/demo-shop/", highlight=False)
        with View(console, f"{box.web.url}  {box.mqtt_url}  {box.folder}") as view:
            summary = run.go(ends_at, view)
    if as_json:
        typer.echo(json.dumps(summary))
    else:
        show_summary(console, summary)
    raise typer.Exit(0 if stop.is_set() or balanced(summary) else 1)


def _kafka_doors(url: str, data_dir: Path, config: Path | None) -> Any:
    """What `--stream` puts between doors and collector; its worker writes to the same data directory."""
    from collector.streams.kafka import KafkaAddress, KafkaSettings
    from contract.settings import load
    from standalone.kafka_doors import KafkaDoors

    if importlib.util.find_spec("confluent_kafka") is None:
        raise Misconfigured("--stream needs pip install 'milepost[kafka]'")
    shared = ["--data-dir", str(data_dir), *(["--config", str(config)] if config else [])]
    return KafkaDoors(url, KafkaAddress.of(url, load("kafka", KafkaSettings, config)), shared)


def _identities(data_dir: Path, config: Path | None, trucks: int) -> Any:
    """Of `milepost provision`, if there are any; then who enrolled is logged too, not only what was refused."""
    from contract.settings import load
    from provisioning.settings import ProvisioningSettings
    from simulator.trucks import truck_ids
    from standalone.truck_access import open_identities

    settings = load("provisioning", ProvisioningSettings, config)
    if identities := open_identities(data_dir, settings, truck_ids(trucks)):
        logging.getLogger("provisioning").setLevel(logging.INFO)
    return identities


def _stop_on_signals() -> threading.Event:
    """An event that SIGINT and SIGTERM set, by way of a pipe and a thread.

    A handler runs inside whatever the main thread was doing, and that may be waiting on this very event, whose lock is
    not re-entrant.
    """
    stop = threading.Event()
    read, write = os.pipe()

    def wait() -> None:
        os.read(read, 1)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os.write(write, b"!"))
    threading.Thread(target=wait, name="signals", daemon=True).start()
    return stop


def main() -> None:
    """Run the command line; errors that Milepost raises on purpose become one line and an exit code."""
    guard_process()
    configure_logging(logging.WARNING)
    try:
        app()
    except Misconfigured as error:
        sys.exit(_say(error, 2))
    except MilepostError as error:
        sys.exit(_say(error, 3))
    except OSError as error:
        sys.exit(_say(f"{error}: give another path (--data-dir), or mend its permissions", 2))


def _say(what: object, code: int) -> int:
    sys.stderr.write(f"milepost: {what}\n")
    return code


if __name__ == "__main__":
    main()
