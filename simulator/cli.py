"""`milepost simulate trucks|truths|shoppers|shop|scenario|report`: the door to the simulator.

Standard output stays empty unless --json asks for the one closing document; progress and logs go to stderr. SIGTERM and
SIGINT finish, send what is left and exit 0; a second one exits at once.
"""

import json
import logging
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from contract import settings, timestamps
from contract.cli_options import AsJson, Config, DataDir
from contract.errors import Misconfigured, Rejected
from contract.log_format import configure_logging
from simulator import scenario_cli, sent_ledger
from simulator.clock import SimulatedClock, planned_start
from simulator.settings import DataFolder, ShopKeys, SimulatorSettings

app = typer.Typer(help="Virtual trucks and shoppers.", no_args_is_help=True, add_completion=False)

app.command()(scenario_cli.scenario)
app.command()(scenario_cli.report)

_DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")
_Minutes = Annotated[float | None, typer.Option(min=0.0, help="Stop after so many minutes of wall time.")]
_Until = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", help="Sample until this time, then stay to send again what is asked for until SIGTERM."
    ),
]
_Seed = Annotated[int | None, typer.Option(help="Another number is another fleet, or other shoppers.")]
_Drain = Annotated[float | None, typer.Option(min=0.0, help="Seconds to send what is left at the end.")]


@app.command()
def trucks(  # noqa: PLR0913 - one parameter an option
    *,
    count: Annotated[int, typer.Option(min=0, help="How many.")] = 5,
    broker: Annotated[str, typer.Option(help="mqtt(s)://HOST:PORT")] = "mqtt://127.0.0.1:1883",
    speedup: Annotated[float, typer.Option(min=0.001, help="Simulated seconds in a second.")] = 1.0,
    data_dir: DataDir = None,
    minutes: _Minutes = None,
    until: _Until = None,
    seed: _Seed = None,
    drain: _Drain = None,
    mode: Annotated[
        str, typer.Option(help="full: the real agent for each; fleet: one event loop for thousands.")
    ] = "full",
    identities: Annotated[
        Path | None, typer.Option(metavar="DIR", help="For mqtts: what `provision import --to DIR --make-keys` wrote.")
    ] = None,
    ramp: Annotated[float, typer.Option(min=0.1, help="fleet: connections a second while it starts.")] = 400.0,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Drive virtual trucks until they are stopped: the real agent for each, or thousands in one event loop."""
    from contract.process_signals import stop_event
    from simulator.trucks import FleetRun

    _log_to_stderr()
    own, folder = _settings(config, data_dir)
    if mode not in ("full", "fleet"):
        raise Misconfigured(f"--mode {mode!r}: must be full or fleet")
    run = FleetRun(
        count=count,
        broker=broker,
        folder=folder,
        speedup=speedup,
        minutes=minutes,
        until=_time(until),
        interval=own.interval,
        drain=own.drain if drain is None else drain,
        seed=own.seed if seed is None else seed,
        identities=identities,
        hardships=own.hardships,
    )
    figures = None
    if mode == "fleet":
        figures = run.run_together(stop_event(second_ends=True), ramp)
    else:
        run.run(stop_event(second_ends=True))
    if as_json:
        rows = [{"truck_id": name, "sampled": number} for name, number in sent_ledger.sampled(folder).items()]
        _print({"trucks": rows} | ({"fleet": figures} if figures else {}))


@app.command("truths")
def print_truths(  # noqa: PLR0913 - one parameter an option
    *,
    count: Annotated[int, typer.Option(min=0, help="How many trucks.")] = 5,
    start: Annotated[str, typer.Option("--from", metavar="TIME", help="The span's beginning.")],
    end: Annotated[str, typer.Option("--to", metavar="TIME", help="The span's end, not included.")],
    data_dir: DataDir = None,
    seed: _Seed = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Print what really happened to the virtual trucks: trips, fuel, faults, sums of days; a JSON document a line."""
    from simulator import truths
    from simulator.trucks import truck_ids

    own, _ = _settings(config, data_dir)
    first, last = _time(start, "--from"), _time(end, "--to")
    if first is None or last is None or last <= first:
        raise Misconfigured(f"--to {end}: give a time after --from {start}")
    written = truths.lines(truck_ids(count), own.seed if seed is None else seed, first, last)
    if as_json:
        _print([json.loads(line) for line in written])
        return
    for line in written:
        sys.stdout.write(line + "\n")


@app.command()
def shoppers(  # noqa: PLR0913 - one parameter an option
    *,
    count: Annotated[int, typer.Option(min=0, help="How many.")] = 3,
    url: Annotated[str, typer.Option(help="The beacon's base URL.")] = "http://127.0.0.1:8080",
    rate: Annotated[float | None, typer.Option(min=0.001, max=1000.0, help="Events a second and shopper.")] = None,
    trucks: Annotated[
        int, typer.Option(min=0, help="Order what is bought; so many simulated trucks deliver it. 0: no orders.")
    ] = 0,
    speedup: Annotated[float, typer.Option(min=0.001, help="Simulated seconds in a second, as for the trucks.")] = 1.0,
    data_dir: DataDir = None,
    minutes: _Minutes = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Where simulated time ends.")] = None,
    seed: _Seed = None,
    drain: _Drain = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Post shop events to a real beacon, and orders to the same server, each until it has its receipt."""
    from contract.process_signals import stop_event
    from simulator.shoppers import Shop
    from simulator.trucks import truck_ids

    _check_address(url)
    _log_to_stderr()
    own, folder = _settings(config, data_dir)
    end = _time(until)
    Shop(
        count=count,
        url=url,
        outbox=folder / sent_ledger.OUTBOX,
        rate=own.rate if rate is None else rate,
        drain=own.drain if drain is None else drain,
        seed=own.seed if seed is None else seed,
        clock=_clock(folder, speedup, end),
        trucks=truck_ids(trucks),
        key=next(iter(settings.load("commerce", ShopKeys, config).keys), ""),
        odd=own.odd_shoppers,
    ).run(stop_event(second_ends=True), seconds=None if minutes is None else minutes * 60)
    if as_json:
        sent = sent_ledger.clicks(folder)
        _print({"sent": sent.sent, "open": sent.open, "rejected": sent.rejected})


@app.command()
def events(  # noqa: PLR0913 - one parameter an option
    *,
    to: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="kafka://HOST:PORT/TOPIC, kinesis://STREAM, firehose://STREAM, or a file to append to",
        ),
    ],
    rate: Annotated[float, typer.Option(min=0.001, max=1e6, help="Events a second.")] = 10.0,
    count: Annotated[int, typer.Option(min=1, help="How many shoppers.")] = 20,
    events: Annotated[int | None, typer.Option(min=1, help="Stop after so many events.")] = None,
    minutes: _Minutes = None,
    seed: _Seed = None,
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Put shop events into a stream or a file at a steady rate, for whoever reads it; no server of ours is needed."""
    from contract.process_signals import stop_event
    from simulator.event_producer import Producer, open_sink

    own = settings.load("simulator", SimulatorSettings, config)
    sink = open_sink(to)
    producer = Producer(sink, rate=rate, count=count, seed=own.seed if seed is None else seed)
    try:
        producer.run(stop_event(second_ends=True), events=events, seconds=None if minutes is None else minutes * 60)
    finally:
        sink.close()
        if as_json:
            _print({"sent": producer.sent})
        else:
            sys.stderr.write(f"{producer.sent} events sent to {to}\n")


def _clock(folder: Path, speedup: float, end: datetime | None) -> SimulatedClock:
    """The shop's time, which passes as the trucks' does, and goes on where an earlier run ended."""
    now = datetime.now(UTC)
    minutes = None if end is None else max(0.0, (end - now).total_seconds() / 60)
    start = planned_start(now, speedup=speedup, minutes=minutes)
    last = sent_ledger.last_shopped_at(folder)
    return SimulatedClock(max(start, last) if last else start, speedup, end)


@app.command()
def shop(
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where the shop listens, on 127.0.0.1.")] = 8090,
    url: Annotated[str, typer.Option(help="The beacon's base URL.")] = "http://127.0.0.1:8080",
    single_page: Annotated[bool, typer.Option(help="Change pages by the history API.")] = False,
) -> None:
    """Serve the demo shop, a web page to click through, with the beacon of another host in it."""
    import uvicorn
    from starlette.applications import Starlette

    from simulator.shop import ShopSite

    _check_address(url)
    site = ShopSite(beacon=f"{url.rstrip('/')}/beacon.js", single_page=single_page)
    sys.stderr.write(f"http://localhost:{port}/shop/\n")
    uvicorn.run(Starlette(routes=site.routes), port=port, log_level="warning")


def _check_address(url: str) -> None:
    if not url.startswith(("http://", "https://")):
        raise Misconfigured(f"--url {url!r} is no web address: give one such as http://127.0.0.1:8080")


def _time(text: str | None, option: str = "--until") -> datetime | None:
    try:
        if text and _DAY.fullmatch(text):
            text += "T00:00:00Z"
        return timestamps.to_datetime(timestamps.parse(text, option)) if text else None
    except Rejected as error:
        raise Misconfigured(str(error)) from None


def _settings(config: Path | None, data_dir: Path | None) -> tuple[SimulatorSettings, Path]:
    """Also puts this process' trucks on the roads that are set."""
    from simulator.routes import drive_on

    own = settings.load("simulator", SimulatorSettings, config)
    drive_on(own.roads)
    return own, data_dir or settings.load("collector", DataFolder, config).data_dir


def _print(document: object) -> None:
    sys.stdout.write(json.dumps(document) + "\n")


def _log_to_stderr() -> None:
    configure_logging(logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for each request


if __name__ == "__main__":
    app()
