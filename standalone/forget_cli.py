"""`milepost forget`: take a customer, or where a truck was, out of everything that is kept on this machine."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from collector.cli_options import settings_of
from commerce import forgetting as shop_forgetting
from commerce.queries import open_if_there
from commerce.settings import CommerceSettings
from contract import atomic_file, machine_clock, timestamps
from contract.cli_options import AsJson, Config, DataDir
from contract.codec import dump
from contract.errors import Misconfigured, Rejected
from contract.forgotten import Forgotten, Span
from contract.log_format import printable
from contract.settings import load
from standalone import forget as forgetting
from standalone.forget import ForgettingRooms
from standalone.forget_marts import BucketMarts
from streaming.settings import StreamingSettings

app = typer.Typer(add_completion=False)

_BEGIN = "2000-01-01T00:00:00.000Z"
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_DAY_MS = 86_400_000


@app.command()
def forget(  # noqa: PLR0913 - one parameter an option
    *,
    customer: Annotated[str | None, typer.Option(metavar="ID", help="Forget this customer")] = None,
    truck: Annotated[str | None, typer.Option(metavar="ID", help="Forget where this truck was")] = None,
    driver: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Forget where this driver's trucks were while they were his or hers"),
    ] = None,
    begin: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="With a truck or driver: from this time or day")
    ] = None,
    end: Annotated[
        str | None,
        typer.Option("--to", metavar="TIME", help="With a truck or driver: up to this time, or this day and with it"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be forgotten, and change nothing")] = False,
    export: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write all that is held of the customer there; forget nothing")
    ] = None,
    hold: Annotated[
        str | None, typer.Option(metavar="REASON", help="Put the customer on legal hold: it is not forgotten")
    ] = None,
    release: Annotated[bool, typer.Option("--release", help="End the customer's legal hold")] = False,
    holds: Annotated[bool, typer.Option("--holds", help="List the legal holds")] = False,
    bucket: Annotated[
        str | None, typer.Option(metavar="NAME", help="With a store on DynamoDB: the stack's bucket")
    ] = None,
    data_dir: DataDir = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Forget a customer, or a truck's or driver's positions, and prove it by a search of every file.

    Numbers stay: samples, clicks, sessions, orders, revenue. Whatever comes again later is not kept. Exit 1 if an
    identifier is still found.
    """
    chosen = [name for name, value in (("customer", customer), ("truck", truck), ("driver", driver)) if value]
    if len(chosen) != (0 if holds else 1):
        raise Misconfigured("give one of --customer, --truck and --driver, or --holds alone")
    if customer is None and (export or hold or release):
        raise Misconfigured("--export, --hold and --release are of a customer: give --customer")
    now_ms = machine_clock.now_ms()
    with _rooms(config, data_dir, bucket) as rooms:
        if holds or hold or release:
            found = _held(rooms, customer, hold=hold, release=release, now_ms=now_ms)
            typer.echo(dump(found) if as_json else _as_lines(found, "No legal holds."))
            return
        if customer and export:
            atomic_file.write(export, dump(forgetting.export(rooms, customer)) + "\n", mode=0o600)
            typer.echo(f"What is held of {printable(customer)} is in {export}.", err=as_json)
            return
        if customer:
            report = forgetting.customer(rooms, customer, now_ms=now_ms, dry_run=dry_run)
        else:
            first, last = _span(begin, end, now_ms)
            spans = _spans(rooms, truck, driver, first, last, dry_run=dry_run)
            report = forgetting.positions(rooms, spans, now_ms=now_ms, dry_run=dry_run)
    _print(report, as_json=as_json)
    raise typer.Exit(0 if dry_run or not (report.get("found") or report.get("left")) else 1)


@contextmanager
def _rooms(config: Path | None, data_dir: Path | None, bucket: str | None) -> Iterator[ForgettingRooms]:
    collector = settings_of(config, data_dir)
    commerce = load("commerce", CommerceSettings, config)
    shop = open_if_there(collector.data_dir, config)
    try:
        live = load("streaming", StreamingSettings, config).database or None
        stores = forgetting.stores_of(collector, bucket)
        marts = BucketMarts(bucket) if bucket else None
        yield ForgettingRooms(collector, commerce, shop, stores, config, live, marts)
    finally:
        if shop:
            shop.close()


def _held(
    rooms: ForgettingRooms, customer: str | None, *, hold: str | None, release: bool, now_ms: int
) -> list[dict[str, Any]]:
    if rooms.shop is None:
        raise Misconfigured(f"no customers in {rooms.data_dir} yet: give --data-dir")
    if customer and hold:
        shop_forgetting.put_hold(rooms.shop, customer, hold, since_ms=now_ms)
    elif customer and release and not shop_forgetting.release_hold(rooms.shop, customer):
        raise Misconfigured(f"customer {printable(customer)} is on no legal hold: `milepost forget --holds` lists them")
    return shop_forgetting.holds(rooms.shop)


def _spans(  # noqa: PLR0913 - a truck's or a driver's
    rooms: ForgettingRooms, truck: str | None, driver: str | None, begin: str, end: str, *, dry_run: bool
) -> list[Span]:
    if truck:
        return [Span(truck, begin, end)]
    if rooms.shop is None or driver is None:
        raise Misconfigured("which truck a driver had stands in the vehicle register, and there is none yet")
    found = forgetting.spans_of_driver(rooms.shop, driver, begin, end)
    if not found:
        raise Misconfigured(f"the vehicle register names no truck of driver {printable(driver)} in that time")
    if not dry_run:
        shop_forgetting.forget_driver(rooms.shop, driver, Forgotten(rooms.data_dir))
    return found


def _span(begin: str | None, end: str | None, now_ms: int) -> tuple[str, str]:
    """From when until when; a day is meant whole."""
    first = _time(begin, "--from") if begin else _BEGIN
    last = _time(end, "--to", after=True) if end else timestamps.from_ms(now_ms)
    if first >= last:
        raise Misconfigured(f"--from {first} is not before --to {last}: exchange them")
    return first, last


def _time(text: str, option: str, *, after: bool = False) -> str:
    try:
        if _DAY.fullmatch(text):
            midnight = timestamps.to_ms(timestamps.parse(f"{text}T00:00:00Z", option))
            return timestamps.from_ms(midnight + after * _DAY_MS)
        return timestamps.parse(text, option)
    except Rejected as error:
        raise Misconfigured(f"{error}, or a day") from None


def _print(report: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(dump(report))
        return
    dry = report["dry_run"]
    for title, key in (("Held", "held"), ("Would be changed" if dry else "Changed", "done")):
        if report.get(key):
            typer.echo(
                f"{title}: " + ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in report[key].items())
            )
    for span in report.get("spans", ()):
        typer.echo(f"{span['truck_id']} from {span['begin']} to {span['end']}")
    if "searched" in report:
        typer.echo(f"Searched {report['searched']['files']} files, {report['searched']['bytes']:,} bytes.")
        for row in report["found"]:
            typer.echo(f"Found in {row['place']}: {printable(row['identifier'])}, {row['hits']} times")
        if not report["found"]:
            typer.echo("No identifier of this customer is in any of them.")
    elif not dry:
        typer.echo(f"Positions left: {report['left']}.")
    for each in report["out_of_reach"]:
        until = f", until {each['until']}" if each["until"] else ""
        typer.echo(f"Out of reach: {each['place']}{until}.")


def _as_lines(rows: list[dict[str, Any]], empty: str) -> str:
    return (
        "\n".join(f"{printable(r['customer_id'])} since {r['since']}: {printable(r['reason'])}" for r in rows) or empty
    )
