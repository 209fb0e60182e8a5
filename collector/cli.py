"""The collector's commands that write: ingest, collect, dead letters, rebuild and verify (docs/commands.md)."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from io import BufferedReader
from pathlib import Path
from typing import Annotated, cast

import typer

from collector.cli_collect import collect
from collector.cli_dead_letters import dead_letters
from collector.cli_options import SomeTruck, print_json, settings_of, writing
from collector.ingest import Ingest, vouch_for_policy
from collector.ingest.documents import documents
from collector.ingest.jsonl import KINDS, ingest_lines, lines_of
from collector.ingest_objects import EXPORT, ingest_objects
from collector.rebuild import rebuild as rebuild_store
from collector.rebuild import verify as verify_store
from collector.streams.s3_objects import S3Objects
from contract import cli_tables, machine_clock
from contract.cli_options import AsJson, Config, DataDir
from contract.errors import Misconfigured, Rejected
from contract.forgotten import Forgotten

app = typer.Typer(help="What changes what the collector keeps.")
app.add_typer(dead_letters, name="dead-letters")
app.command()(collect)


@app.command()
def ingest(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...|s3://BUCKET/PREFIX|-", help="JSON Lines or a JSON array, plain or gzip; - is stdin"
        ),
    ],
    stream: Annotated[str, typer.Option(help="What the records are: telemetry or clicks")] = "telemetry",
    data_dir: DataDir = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Take files of JSON Lines, or of a JSON array, into history. Safe to repeat: what is known counts as duplicate.

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
        for sums in ingest_lines(taker, documents(lines), stream, clock_ms=machine_clock.now_ms):
            if sys.stderr.isatty():
                typer.echo(f"\r{file}: {sum(sums.values()):,} records", err=True, nl=False)
            yield sums
        if sys.stderr.isatty():
            typer.echo(err=True)


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
