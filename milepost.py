"""The front door: one Typer app that mounts each room's commands lazily, so that a truck loads only what it runs.

Exit codes: 0 done, 1 some input rejected or a sample missing, 2 usage or configuration, 3 a service cannot be reached.
"""

import importlib
import json
import logging
import sys
from inspect import cleandoc
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
    "trucks": ("collector.cli_queries", "Show each truck's latest sample and current version."),
    "history": ("collector.cli_queries", "Show a truck's versions: what was true from when until when."),
    "clicks": ("collector.cli_queries", "Count what shoppers did, by item, minute, page, session or funnel."),
    "audit": ("collector.cli_queries", "Report missing, thinned, lost and refused samples per truck and stream."),
    "dead-letters": ("collector.cli", "Refused input, with the reason: list, show, retry, discard."),
    "rebuild": ("collector.cli", "Recompute history and counters from the stored samples and events."),
    "backup": ("standalone.cli", "Copy every store of the data directory at one instant."),
    "restore": ("standalone.cli", "Put a backup in place."),
    "forget": ("standalone.forget_cli", "Forget a customer, or where a truck was, and prove it."),
    "verify": ("collector.cli", "Compare history and counters with the stored samples and events."),
    "agent": ("agent.cli", "The agent on the truck: run, once, status, doctor, enroll, install."),
    "agents": ("provisioning.cli_agents", "The agents of the whole fleet: command, versions."),
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
    "trips": ("console.truck_tables_cli", "A truck's trips as CSV or XLSX, from the marts."),
    "stops": ("console.truck_tables_cli", "A truck's stops as CSV, XLSX, GPX or KML, from the marts."),
    "fuel": ("console.truck_tables_cli", "A truck's refuels and drops of fuel as CSV or XLSX, from the marts."),
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
            return _flowing(super().get_command(ctx, cmd_name))
        mounted = typer.main.get_command(importlib.import_module(module).app)
        return _flowing(getattr(mounted, "commands", {}).get(cmd_name, mounted))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self.format_usage(ctx, formatter)
        formatter.write_paragraph()
        formatter.write_text(self.help or "")
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])
        formatter.write_paragraph()
        formatter.write_text("`milepost COMMAND --help` has the details.")


def _flowing(command: Any) -> Any:
    """A command whose help, and that of all below it, is wrapped by the terminal's width and not by its source's."""
    paragraphs = cleandoc(command.help or "").split("\n\n")
    command.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    for below in getattr(command, "commands", {}).values():
        _flowing(below)
    return command


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
    dashboard: Annotated[
        bool, typer.Option("--dashboard", help="The analysts' pages too, on 8501; marts are built each minute")
    ] = False,
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

    from collector.cli_options import settings_of
    from contract.process_signals import stop_event
    from standalone.balanced_run import balanced
    from standalone.live_view import show_summary
    from standalone.up import Asked, one_machine, run_beside

    collector = settings_of(config, data_dir)
    asked = Asked(
        trucks=trucks,
        shoppers=shoppers,
        minutes=minutes,
        speedup=speedup,
        host=host,
        port=port,
        broker=broker,
        stream=stream,
        dashboard=dashboard,
        config=config,
    )
    stop, console, store_url = stop_event(), Console(stderr=as_json), collector.store_url
    box: Any
    if aws:
        from deploy.local_stack import STORE, LocalStack, refuse_others

        refuse_others(broker, stream, dashboard=dashboard)
        typer.echo(f"Deploying the stack to a ministack in {collector.data_dir / 'aws'}, kept there", err=True)
        box, store_url = LocalStack(collector.data_dir, port=port, track=collector.track), STORE
    else:
        box = one_machine(collector, asked)
    with box:
        summary = run_beside(box, store_url, asked, stop, console)
    if as_json:
        typer.echo(json.dumps(summary))
    else:
        show_summary(console, summary)
    raise typer.Exit(0 if stop.is_set() or balanced(summary) else 1)


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
    except ModuleNotFoundError as error:
        sys.exit(_say(_lacking(error), 2))
    except OSError as error:
        sys.exit(_say(f"{error}: give another path (--data-dir), or mend its permissions", 2))


_EXTRAS = {"milepost": "box", "standalone": "box", "iot_rules": "rules", "dashboards": "dashboard", "deploy": "box"}
"""Room → the extra of its commands, where that has another name."""


def _lacking(error: ModuleNotFoundError) -> str:
    """What to install: a truck has the agent's libraries only, and asks for a command of another room."""
    command = next((word for word in sys.argv[1:] if word in COMMANDS), "up")
    room = COMMANDS[command][0].split(".")[0]
    return f"{error}: `milepost {command}` needs pip install 'milepost[{_EXTRAS.get(room, room)}]'"


def _say(what: object, code: int) -> int:
    sys.stderr.write(f"milepost: {what}\n")
    return code


if __name__ == "__main__":
    main()
