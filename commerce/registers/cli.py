"""`milepost customers|items|fleet`: import from CSV, list and show."""

import csv
import io
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from collector.queries import Visits, opened_reader
from commerce.cli_options import cells, collector_settings, open_commerce
from commerce.csv_table import read_table
from commerce.customers import unified_view
from commerce.customers.money import Money
from commerce.customers.ranking import Ranking
from commerce.fields import Accepted
from commerce.registers.csv_rows import document_of
from commerce.registers.documents import CUSTOMERS, ITEMS, SERVICES, VEHICLES, Kind
from commerce.registers.register import Register
from commerce.registers.services import read_service
from contract import atomic_file, machine_clock, thresholds
from contract.cli_options import AsJson, Config, DataDir
from contract.cli_tables import show
from contract.codec import Json, dump
from contract.errors import Misconfigured, Rejected
from contract.forgotten import Forgotten
from contract.log_format import printable
from contract.settings import load

customers = typer.Typer(no_args_is_help=True, help="Customers: profiles and what they ordered.")
items = typer.Typer(no_args_is_help=True, help="The catalogue: what the shop sells.")
fleet = typer.Typer(no_args_is_help=True, help="Vehicles: tank, capacity, depot, service, driver.")

File = Annotated[Path, typer.Argument(metavar="FILE.csv", help="Comma-separated, with a header line")]
Id = Annotated[str, typer.Argument(metavar="ID", help="The id of one")]

_TOGETHER = 200  # rows of a file in one transaction
_COLUMNS = {
    "customer": ("customer_id", "name", "country", "loyalty_tier", "marketing_consent"),
    "item": ("item_id", "item_name", "category", "price", "currency", "stock", "active"),
    "vehicle": ("truck_id", "plate", "group", "tank_litres", "capacity", "driver_id"),
}


def _import(kind: Kind, file: Path, *, data_dir: Path | None, config: Path | None, as_json: bool) -> None:
    counts = Counter(accepted=0, duplicate=0, rejected=0)
    judged: list[tuple[Accepted, int]] = []
    clock = machine_clock.RisingClock()  # of two rows for one time the lower one counts
    try:
        with (
            file.open(newline="", encoding="utf-8-sig") as source,
            open_commerce(config, data_dir, make=True) as database,
        ):
            marks = Forgotten(collector_settings(config, data_dir).data_dir)
            register = Register(database, kind, forgotten=marks)
            columns, rows = read_table(source, kind.id_name)
            for column in (name for name in columns if name and not kind.knows(name)):
                typer.echo(
                    f"{file}: {printable(column)} is no field of a {kind.name}: kept, and nothing uses it", err=True
                )
            for row in rows:
                try:
                    read = kind.read(document_of(kind, row.cells()))
                except Rejected as error:
                    typer.echo(f"{file}, line {row.line}: {error}", err=True)
                    counts["rejected"] += 1
                    continue
                for field, reason in read.warnings.items():
                    typer.echo(f"{file}, line {row.line}: {field} left empty: {reason}", err=True)
                judged.append((read, clock()))
                if len(judged) == _TOGETHER:
                    counts.update(register.put_all(judged))
                    judged.clear()
            counts.update(register.put_all(judged))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Misconfigured(f"{file} cannot be read as CSV in UTF-8: {error}") from None
    typer.echo(dump(counts) if as_json else ", ".join(f"{count} {name}" for name, count in counts.items()))
    raise typer.Exit(1 if counts["rejected"] else 0)


def _list(kind: Kind, *, data_dir: Path | None, config: Path | None, as_json: bool) -> None:
    with open_commerce(config, data_dir) as database:
        rows = Register(database, kind).all_current()
    if as_json:
        typer.echo(dump(rows))
        return
    names = _COLUMNS[kind.name]
    show(f"{kind.name.capitalize()}s", names, [[*cells(row, names)] for row in rows], empty=f"No {kind.name}s yet.")


def _show(kind: Kind, subject_id: str, *, data_dir: Path | None, config: Path | None, as_json: bool) -> None:
    with open_commerce(config, data_dir) as database:
        versions = Register(database, kind).versions(subject_id)
    if not versions:
        typer.echo(f"No {kind.name} {printable(subject_id)} is known.", err=True)
        raise typer.Exit(1)
    if as_json:
        typer.echo(dump(versions))
        return
    documents = [row["document"] for row in versions]
    shown = [name for name in kind.fields if any(document.get(name) is not None for document in documents)]
    rows: list[list[str]] = []
    for row in versions:
        until = _minute(row["effective_end_date"]) if row["effective_end_date"] else "now"
        rows.append([_minute(row["effective_start_date"]), until, *cells(row["document"], shown)])
    show(subject_id, ("from", "until", *shown), rows, empty="")


def _minute(instant: str) -> str:
    return f"{instant[:10]} {instant[11:16]}"


@items.command("import")
def import_items(file: File, *, data_dir: DataDir = None, config: Config = None, as_json: AsJson = False) -> None:
    """Put the items of a CSV file into the catalogue. The same file again changes nothing."""
    _import(ITEMS, file, data_dir=data_dir, config=config, as_json=as_json)


@items.command("list")
def list_items(*, data_dir: DataDir = None, config: Config = None, as_json: AsJson = False) -> None:
    """List the items as they are now."""
    _list(ITEMS, data_dir=data_dir, config=config, as_json=as_json)


@items.command("show")
def show_item(item_id: Id, *, data_dir: DataDir = None, config: Config = None, as_json: AsJson = False) -> None:
    """Show one item's versions, oldest first."""
    _show(ITEMS, item_id, data_dir=data_dir, config=config, as_json=as_json)


@fleet.command("import")
def import_vehicles(file: File, *, data_dir: DataDir = None, config: Config = None, as_json: AsJson = False) -> None:
    """Put the vehicles of a CSV file into the register. The same file again changes nothing."""
    _import(VEHICLES, file, data_dir=data_dir, config=config, as_json=as_json)


@fleet.command("list")
def list_vehicles(*, data_dir: DataDir = None, config: Config = None, as_json: AsJson = False) -> None:
    """List the vehicles as they are now."""
    _list(VEHICLES, data_dir=data_dir, config=config, as_json=as_json)


@fleet.command("show")
def show_vehicle(truck_id: Id, *, data_dir: DataDir = None, config: Config = None, as_json: AsJson = False) -> None:
    """Show one vehicle's versions, oldest first."""
    _show(VEHICLES, truck_id, data_dir=data_dir, config=config, as_json=as_json)


@fleet.command("service")
def record_service(  # noqa: PLR0913 - one parameter an option
    truck_id: Id,
    item: Annotated[str, typer.Option(help=f"What was serviced: {', '.join(thresholds.items())}")],
    *,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="When, RFC 3339; else now")] = None,
    odometer: Annotated[float | None, typer.Option(metavar="KM", help="The odometer then, km")] = None,
    data_dir: DataDir = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Record that something was serviced: the next build takes it out of maintenance_due, until it is due again."""
    received_ms = machine_clock.now_ms()
    said: dict[str, Json] = {"item": item, "at": at, "odometer": odometer}
    try:
        read = read_service(truck_id, said, received_ms=received_ms)
    except Rejected as error:
        raise Misconfigured(str(error)) from None
    with open_commerce(config, data_dir, make=True) as database:
        status = Register(database, SERVICES).put(read, received_ms=received_ms)
    typer.echo(dump({"service_id": read.id, "status": status}) if as_json else f"{status}: {printable(read.id)}")


SegmentOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="Only champion, loyal, new, occasional, at_risk, lost or prospect")
]


def _with_segments(segment: str | None, data_dir: Path | None, config: Path | None) -> list[dict[str, Any]]:
    """Everybody who has a profile or an order, with segment, by id."""
    money = load("warehouse", Money, config)
    with open_commerce(config, data_dir) as database, opened_reader(_store(config, data_dir)) as reader:
        visits = Visits()
        visits.catch_up(reader)
        ranking = Ranking(database, money, newest=lambda: visits.newest)
        profiles = {str(row["customer_id"]): row for row in Register(database, CUSTOMERS).all_current()}
        everybody = sorted({*profiles, *ranking.all()})
        rows = [{"customer_id": name, **profiles.get(name, {}), **ranking.of(name)._asdict()} for name in everybody]
    return [row for row in rows if segment in (None, row["segment"])]


def _store(config: Path | None, data_dir: Path | None) -> str:
    return collector_settings(config, data_dir).store_url


@customers.command("list")
def list_customers(
    segment: SegmentOption = None, *, data_dir: DataDir = None, config: Config = None, as_json: AsJson = False
) -> None:
    """List the customers: profile as it is now, segment, and quintiles of recency, frequency and revenue."""
    rows = _with_segments(segment, data_dir, config)
    if as_json:
        typer.echo(dump(rows))
        return
    names = ("customer_id", "name", "country", "loyalty_tier", "segment", "rfm")
    show("Customers", names, [[*cells(row, names)] for row in rows], empty="No customers yet.")


@customers.command("export")
def export_customers(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="A new file; it names people: keep it closed")],
    segment: SegmentOption = None,
    *,
    data_dir: DataDir = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Write the customers who agreed to marketing to a CSV file; `milepost forget --export` writes all held of one."""
    everybody = _with_segments(segment, data_dir, config)
    rows = [row for row in everybody if row.get("marketing_consent") is True]
    left_out = len(everybody) - len(rows)
    names = ("customer_id", *CUSTOMERS.fields, "segment", "rfm", "recency_days")
    text = io.StringIO()
    table = csv.DictWriter(text, names, extrasaction="ignore")
    table.writeheader()
    table.writerows(rows)
    atomic_file.write(file, text.getvalue(), mode=0o600)
    if as_json:
        typer.echo(dump({"customers": len(rows), "left_out": left_out}))
    else:
        typer.echo(f"{len(rows)} customers are in {file}; {left_out} without marketing consent are left out.")


@customers.command("show")
def show_customer(customer_id: Id, *, data_dir: DataDir = None, config: Config = None, as_json: AsJson = False) -> None:
    """Show one customer as a whole: profile, versions, segment, visits, orders, revenue."""
    money = load("warehouse", Money, config)
    with open_commerce(config, data_dir) as database, opened_reader(_store(config, data_dir)) as reader:
        visits = Visits()
        visits.catch_up(reader)
        ranking = Ranking(database, money, newest=lambda: visits.newest)
        found = unified_view(database, customer_id, visits_of=visits.of, segment_of=ranking.of)
    if found is None:
        typer.echo(f"No customer {printable(customer_id)} is known.", err=True)
        raise typer.Exit(1)
    if as_json:
        typer.echo(dump(found))
        return
    profile = found["profile"] or {}
    about = {name: found[name] for name in ("segment", "rfm", "recency_days")} | (found["visits"] or {})
    facts = [[name, value] for name, value in {**profile, **about}.items() if value is not None]
    show(customer_id, ("field", "value"), facts, empty="No profile has come; there are orders:")
    names = ("order_id", "state", "total", "currency", "placed_at")
    show("Orders", names, [[*cells(row, names)] for row in found["orders"]], empty="No orders yet.")
