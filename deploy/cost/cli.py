"""`milepost cost`: what a fleet costs a month on AWS, beside the two usual designs."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from contract.cli_options import AsJson
from contract.codec import dump
from deploy.cost.model import USUAL, WINDOW, Fleet, answer

app = typer.Typer(help="What a fleet costs a month on AWS.", add_completion=False)


_COLUMNS = {
    "milepost": "each\nat once",
    "milepost_basic_ingest": "+ Basic\nIngest",
    "milepost_together": "some\ntogether",
    "milepost_basic_ingest_together": "+ Basic\nIngest",
    "version_per_record": "version\na record",
    "object_per_record": "object\na record",
}
_SERVICES = {
    "iot_connections": "IoT connections",
    "iot_messages": "IoT messages",
    "iot_rules": "IoT rules",
    "kinesis": "Kinesis",
    "lambda": "Lambda",
    "dynamodb_writes": "DynamoDB writes",
    "dynamodb_reads": "DynamoDB reads",
    "dynamodb_storage": "DynamoDB stored",
    "firehose": "Firehose",
    "s3": "S3",
    "cloudwatch": "CloudWatch",
    "scheduler": "Scheduler",
    "kms": "KMS",
    "egress": "Egress",
}


class Capacity(StrEnum):
    """How tables are charged."""

    ON_DEMAND = "on-demand"
    PROVISIONED = "provisioned"


_VERDICTS = [
    ("each at once", "milepost", ""),
    ("+ Basic Ingest", "milepost_basic_ingest", ""),
    ("some together", "milepost_together", ""),
    ("+ Basic Ingest", "milepost_basic_ingest_together", ""),
    ("together, theirs too", "milepost_together", "_together"),
]
"""What is said, for which of ours, against which of the usual two: at once, or as ours."""


@app.command()
def cost(  # noqa: PLR0913 - the command's options
    *,
    trucks: Annotated[int, typer.Option(min=1, help="How many")],
    interval: Annotated[float, typer.Option(min=1.0, help="Seconds between two samples of a truck")] = 60,
    send_interval: Annotated[
        float, typer.Option(min=0.0, help="Seconds that samples may wait to go together (\\[agent] send_interval)")
    ] = 300,
    window: Annotated[float, typer.Option(min=0.0, max=300.0, help="Seconds that batches gather")] = WINDOW,
    capacity: Annotated[
        Capacity, typer.Option(help="How Milepost's tables are charged: the template's parameter Capacity")
    ] = Capacity.ON_DEMAND,
    shop_events: Annotated[float, typer.Option(min=0.0, help="Events of the shop a day")] = 0,
    builds: Annotated[float, typer.Option(min=0.1, help="Builds of lake and marts a day (deploy/warehouse.yaml)")] = 24,
    as_json: AsJson = False,
) -> None:
    """What a fleet costs a month on AWS at list prices, per service, beside the two usual designs."""
    fleet = Fleet(trucks, interval, window, send_interval, provisioned=capacity is Capacity.PROVISIONED)
    found = answer(fleet, shop_events, builds)
    if as_json:
        typer.echo(dump(found))
        return
    _show(found)


def _show(found: dict[str, Any]) -> None:
    from contract import cli_tables

    designs = found["designs"]
    digits = 0 if max(designs[name]["month"] for name in _COLUMNS) >= 10_000 else 2
    rows: list[list[str]] = []
    for service, said in _SERVICES.items():
        amounts = [designs[name]["services"].get(service) for name in _COLUMNS]
        rows.append([said, *(_right("–" if amount is None else f"{amount:,.{digits}f}") for amount in amounts)])
    rows.append(["all", *(_right(f"{designs[name]['month']:,.{digits}f}") for name in _COLUMNS)])
    rows.append(["a truck", *(_right(f"{designs[name]['truck_month']:.3f}") for name in _COLUMNS)])
    title = (
        f"{found['trucks']:,} trucks, {found['currency']} a month, {found['region']}, prices of {found['prices_as_of']}"
    )
    cli_tables.show(title, ["", *_COLUMNS.values()], rows, empty="")
    changes = ", ".join(f"{each['versions_per_truck_day']:g} {source}" for source, each in found["changes"].items())
    columns = [f"{usual}\n{source}" for source in found["changes"] for usual in ("version", "object")]
    title = f"Milepost's cost over each usual design's; versions a truck-day: {changes}"
    cli_tables.show(title, ["", *columns], _ratios(found), empty="")
    options = [[name, f"{amount:+,.2f}"] for name, amount in found["options"].items()]
    cli_tables.show("What the template's parameters add, each at once", ["", "a month"], options, empty="")
    for note in _notes(found):
        typer.echo(note)


def _ratios(found: dict[str, Any]) -> list[list[str]]:
    rows = []
    for said, mine, suffix in _VERDICTS:
        ratios = [source[mine][f"{usual}{suffix}"] for source in found["ratios"].values() for usual in USUAL]
        rows.append([said, *(f"{ratio:.2f}" for ratio in ratios)])
    for said, mine in (("theirs provisioned too", "milepost"), ("+ Basic Ingest", "milepost_basic_ingest")):
        pairs = [source[mine].get("version_per_record_provisioned") for source in found["ratios"].values()]
        if None not in pairs:
            rows.append([said, *(cell for ratio in pairs for cell in (f"{ratio:.2f}", "–"))])
    return rows


def _notes(found: dict[str, Any]) -> list[str]:
    shop, marts = found["shop"], found["warehouse"]
    dearest = sorted(marts["services"], key=lambda name: -marts["services"][name])[:2]
    too_long = " (more than between two)" * (marts["build_seconds"] * marts["builds_a_day"] > 86_400)
    return [
        f"The shop's stream and doors, {shop['events_a_day']:,g} events a day (--shop-events): {shop['month']:,.2f}.",
        f"Lake, marts and Athena, {marts['builds_a_day']:g} builds a day (--builds): {marts['month']:,.2f}.",
        f"  A build: {marts['build_seconds']:,.0f} s{too_long}; most is for {', '.join(dearest)}.",
        f"Some together: samples of {found['send_interval']:g} s in one message, events at once:"
        f" {found['samples_per_message']:g} a message.",
        "The first table is for the changes of simulated trucks. Assumed, not measured:",
        *(f"  {name.replace('_', ' ')}: {value:g}" for name, value in found["assumed"].items()),
        "Where each price was found: --json.",
    ]


def _right(text: str) -> str:
    return text.rjust(8)
