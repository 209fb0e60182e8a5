"""The collector's commands: ingest, the queries, dead letters, rebuild and verify (docs/commands.md)."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from io import BufferedReader
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from collector import cli_rendering, queries
from collector.cli_clicks import clicks
from collector.cli_collect import collect
from collector.cli_dead_letters import dead_letters
from collector.cli_options import SomeTruck, Truck, print_json, reading, settings_of, writing
from collector.ingest import Ingest, vouch_for_policy
from collector.ingest.history_writer import HistoryWriter
from collector.ingest.jsonl import KINDS, ingest_lines, lines_of
from collector.ingest_objects import EXPORT, ingest_objects
from collector.rebuild import rebuild as rebuild_store
from collector.rebuild import verify as verify_store
from collector.settings import CollectorSettings
from collector.streams.s3_objects import S3Objects
from contract import cli_tables, machine_clock, timestamps
from contract.cli_options import AsJson, Config, DataDir
from contract.control_messages import Report
from contract.errors import Misconfigured, Rejected
from contract.forgotten import Forgotten

app = typer.Typer(help="What the collector keeps, and what can be asked of it.")
app.add_typer(dead_letters, name="dead-letters")
app.command()(collect)
app.command()(clicks)


@app.command()
def ingest(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...|s3://BUCKET/PREFIX|-", help="JSON Lines, one record a line, or gzip of them; - is stdin"
        ),
    ],
    stream: Annotated[str, typer.Option(help="What the records are: telemetry or clicks")] = "telemetry",
    data_dir: DataDir = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Take JSON Lines files into history. Safe to repeat: what is known counts as duplicate.

    `dynamodb-export://BUCKET/PREFIX` takes a table's export in DYNAMODB_JSON.
    `s3://BUCKET/PREFIX` takes every object under the prefix, the archive's too; interrupted, it goes on where it was.
    Ends with one line, {"accepted":n,"duplicate":n,"rejected":n}. Exit 1 if anything was rejected; rejected lines
    are kept: see `milepost dead-letters list`.
    """
    if stream not in KINDS:
        raise Misconfigured(f"--stream {stream!r}: give one of {', '.join(KINDS)}")
    for file in files:
        if file != "-" and not file.startswith(("s3://", EXPORT)) and (not Path(file).exists() or Path(file).is_dir()):
            raise Misconfigured(f"no file {file!r}: give the path of a JSON Lines file, or - for stdin")
    counts = {"accepted": 0, "duplicate": 0, "rejected": 0}
    settings = settings_of(config, data_dir)
    with writing(settings, make=True) as (store, policy):
        vouch_for_policy(store, policy)
        if stream == "clicks" and store.clicks_too_old_ms is not None:
            typer.echo("Events that were counted live over 14 days ago cannot be recognised in a file.", err=True)
        taker = Ingest(store, policy, forgotten=Forgotten(settings.data_dir))
        for file in files:
            try:
                for sums in _ingest(taker, file, stream, settings.data_dir):
                    done = sums
            except Rejected as damaged:
                typer.echo(damaged.reason, err=True)
                done = {**done, "rejected": done["rejected"] + 1}
            counts = {status: count + done[status] for status, count in counts.items()}
    if not as_json and counts["rejected"]:
        typer.echo("Rejected records are kept with their reasons: `milepost dead-letters list`.", err=True)
    print_json(counts)
    raise typer.Exit(1 if counts["rejected"] else 0)


def _ingest(taker: Ingest, file: str, stream: str, folder: Path) -> Iterator[dict[str, int]]:
    if file.startswith(EXPORT):
        objects = S3Objects(f"s3://{file.removeprefix(EXPORT)}")
        return ingest_objects(taker, objects, stream, folder, exported=True)
    if file.startswith("s3://"):
        return ingest_objects(taker, S3Objects(file), stream, folder)
    return _ingest_file(taker, file, stream)


def _ingest_file(taker: Ingest, file: str, stream: str) -> Iterator[dict[str, int]]:
    yield {"accepted": 0, "duplicate": 0, "rejected": 0}
    with ExitStack() as stack:
        opened = sys.stdin.buffer if file == "-" else stack.enter_context(Path(file).open("rb"))
        lines = stack.enter_context(lines_of(cast(BufferedReader, opened), "stdin" if file == "-" else file))
        for sums in ingest_lines(taker, lines, stream, clock_ms=machine_clock.now_ms):
            if sys.stderr.isatty():
                typer.echo(f"\r{file}: {sum(sums.values()):,} records", err=True, nl=False)
            yield sums
        if sys.stderr.isatty():
            typer.echo(err=True)


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
        _close_stream(settings, given[1], given[2], as_json=as_json)
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


def _close_stream(settings: CollectorSettings, truck_id: str, stream_id: str, *, as_json: bool) -> None:
    with writing(settings) as (store, policy):
        ledger = store.ledgers(truck_id).get(stream_id)
        if ledger is None:
            raise Misconfigured(f"no stream {stream_id!r} of {truck_id!r}: `milepost audit` lists them")
        lost = ledger.missing().count
        said = Report(stream_id=stream_id, oldest_retained=ledger.highest + 1, highest_seq=ledger.highest, closed=True)
        with store.unit():
            HistoryWriter(store, policy).revise(
                truck_id, stream_id, lambda known: known.report(said, machine_clock.now_ms())
            )
    answer = {"truck_id": truck_id, "stream_id": stream_id, "lost": lost}
    print_json(answer) if as_json else typer.echo(f"Closed: {lost} samples of {stream_id} are lost for certain.")


@app.command()
def rebuild(truck: SomeTruck = None, data_dir: DataDir = None, config: Config = None, as_json: AsJson = False) -> None:
    """Recompute history from the stored samples under the current `track` policy, and the click counters."""
    with writing(settings_of(config, data_dir)) as (store, policy):
        if truck:
            vouch_for_policy(store, policy)
        counts = rebuild_store(store, policy, truck)
    print_json(counts) if as_json else typer.echo(
        f"Rebuilt {counts['versions']} versions of {counts['trucks']} trucks."
    )


@app.command()
def verify(truck: SomeTruck = None, data_dir: DataDir = None, config: Config = None, as_json: AsJson = False) -> None:
    """Compare history and counters with what the stored samples and events make. Exit 1 where they differ."""
    with writing(settings_of(config, data_dir)) as (store, policy):
        vouch_for_policy(store, policy)
        faults = verify_store(store, policy, truck)
    if as_json:
        print_json(faults)
    else:
        cli_tables.show(
            "Faults",
            ["truck_id", "fault"],
            [[fault["truck_id"], fault["fault"]] for fault in faults],
            empty="History and counters are exactly what the samples and events make.",
        )
        if faults:
            typer.echo("Run `milepost rebuild` to make them right.", err=True)
    raise typer.Exit(1 if faults else 0)
