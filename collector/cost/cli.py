"""`milepost cost`: what a fleet costs a month on AWS, beside the two usual designs."""

from typing import Annotated, Any

import typer

from collector.cost.model import Fleet, answer
from contract.codec import dump

app = typer.Typer(help="What a fleet costs a month on AWS.")

_TITLES = {
    "milepost": "Milepost",
    "milepost_basic_ingest": "with Basic Ingest",
    "version_per_record": "a version a record",
    "object_per_record": "an object a record",
}


@app.command()
def cost(
    *,
    trucks: Annotated[int, typer.Option(min=1, help="How many")],
    interval: Annotated[float, typer.Option(min=1.0, help="Seconds between two samples of a truck")] = 60,
    window: Annotated[float, typer.Option(min=0.0, max=300.0, help="Seconds that batches gather")] = 60,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else")] = False,
) -> None:
    """What a fleet costs a month on AWS at list prices, per service, beside the two usual designs."""
    found = answer(Fleet(trucks, interval, window))
    if as_json:
        typer.echo(dump(found))
        return
    _show(found)


def _show(found: dict[str, Any]) -> None:
    from collector import tables

    designs = found["designs"]
    services = list(dict.fromkeys(service for row in designs.values() for service in row["services"]))
    rows = [[service, *(_amount(designs[name]["services"].get(service)) for name in _TITLES)] for service in services]
    rows.append(["all", *(_amount(designs[name]["month"]) for name in _TITLES)])
    rows.append(["a truck", *(f"{designs[name]['truck_month']:.3f}" for name in _TITLES)])
    title = (
        f"{found['trucks']} trucks, {found['currency']} a month, {found['region']}, prices of {found['prices_as_of']}"
    )
    tables.show(title, ["service", *_TITLES.values()], rows, empty="")
    for name, others in found["ratios"].items():
        said = ", ".join(f"{ratio:.2f} of {_TITLES[other]}" for other, ratio in others.items())
        typer.echo(f"{_TITLES[name]}: {said}.")


def _amount(value: float | None) -> str:
    return "–" if value is None else f"{value:,.2f}"
