"""The collector's commands that ask: trucks, history, clicks and audit (docs/commands.md).

They load nothing of what takes records in, which would take as long as the answer.
"""

from typing import Annotated, Any

import typer

from collector import cli_rendering, queries
from collector.cli_clicks import clicks
from collector.cli_options import Truck, print_json, reading, settings_of
from contract import cli_tables, machine_clock, timestamps
from contract.cli_options import AsJson, Config, DataDir
from contract.errors import Misconfigured, Rejected

app = typer.Typer(help="What can be asked of what the collector keeps.")
app.command()(clicks)


@app.command()
def trucks(data_dir: DataDir = None, config: Config = None, as_json: AsJson = False) -> None:
    """Every truck: its latest sample and its current version."""
    with reading(settings_of(config, data_dir)) as reader:
        rows = queries.trucks(reader)
    if as_json:
        print_json(rows)
        return
    cli_tables.show(
        "Trucks",
        ["truck", "latest sample", *cli_rendering.HIGHLIGHTS, "faults"],
        [[row["truck_id"], row["latest"]["sampled_at"], *cli_rendering.highlights(row["latest"])] for row in rows],
        empty="No trucks yet. Start some with `milepost up`, or take in a file with `milepost ingest FILE`.",
    )


@app.command()
def history(  # noqa: PLR0913 - one parameter an option
    truck: Truck,
    at: Annotated[str | None, typer.Option(help="Only the version that held at this time (no zone = UTC)")] = None,
    known_at: Annotated[
        str | None, typer.Option(help="As it was known at this time: without the samples received later")
    ] = None,
    data_dir: DataDir = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """A truck's versions, oldest first: what was true from when until when."""
    instant, known = _instant(at, "--at"), _instant(known_at, "--known-at")
    with reading(settings_of(config, data_dir)) as reader:
        if known is None:
            rows = queries.history(reader, truck, instant)
        else:
            rows, retained_from = queries.history_known_at(reader, truck, known, instant)
            if retained_from:
                typer.echo(f"before {retained_from}: not known any more", err=True)
    if as_json:
        print_json(rows)
        return
    cli_tables.show(
        f"History of {truck}",
        ["from", "until", *cli_rendering.HIGHLIGHTS, "faults"],
        [
            [row["effective_start_date"], row["effective_end_date"] or "now", *cli_rendering.highlights(row["sample"])]
            for row in rows
        ],
        empty=f"Nothing is known of {truck}{f' at {at}' if at else ''}. `milepost trucks` lists the trucks.",
    )


def _instant(text: str | None, option: str) -> str | None:
    try:
        return None if text is None else timestamps.parse(text, option)
    except Rejected as error:
        raise Misconfigured(str(error)) from None


@app.command()
def audit(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TRUCK] | close TRUCK STREAM", help="Only this truck; or close a stream"),
    ] = None,
    data_dir: DataDir = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Report received, missing, thinned, lost and refused samples per truck and stream.

    Exits 1 if any sample is lost, or missing without explanation. `audit close TRUCK STREAM` ends the waiting for a
    stream whose truck or buffer is gone for good: what is missing of it counts as lost from then on.
    """
    settings = settings_of(config, data_dir)
    given = words or []
    if given[:1] == ["close"] and len(given) == 3:
        from collector.cli_close_stream import close_stream

        close_stream(settings, given[1], given[2], as_json=as_json)
        return
    if len(given) > 1:
        raise Misconfigured("give `audit`, `audit TRUCK` or `audit close TRUCK STREAM`")
    truck = given[0] if given else None
    with reading(settings) as reader:
        found = queries.audit(
            reader, now_ms=machine_clock.now_ms(), grace_ms=int(settings.resend_after * 1000), truck_id=truck
        )
    complete = queries.complete(found)
    if as_json:
        print_json(found)
    else:
        shown = {"truck": "truck_id", "received": "received", "highest": "highest_seq", "holes": "holes"}
        shown |= {
            "late": "late",
            "gone": "gone",
            "thinned": "thinned",
            "refused": "dead_lettered",
            "twice": "conflicts",
        }
        rows = [[row[name] for name in shown.values()] for row in found["trucks"]]
        cli_tables.show("Audit", list(shown), rows, empty="No streams yet.")
        typer.echo(_verdict(found, complete=complete))
    raise typer.Exit(0 if complete else 1)


def _verdict(found: dict[str, Any], *, complete: bool) -> str:
    refused = sum(len(row["refused"]) for row in found["trucks"])
    also = f"{refused} refused: `milepost dead-letters list` says why." if refused else ""
    if not complete:
        return f"Incomplete: {found['lost']} lost for certain; see the holes. {also}".rstrip()
    if late := queries.late_samples(found):
        return f"Nothing is lost; {late} late: on their way, as far as is known. {also}".rstrip()
    return f"Nothing else is missing. {also}" if refused else "Nothing is missing."
