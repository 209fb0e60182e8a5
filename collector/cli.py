"""The collector's commands: ingest, the queries, dead letters, rebuild and verify (DESIGN §6)."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from collector import cli_rendering, queries
from collector.history import Policy
from collector.ingest import Ingest, unpack, vouch_for_policy
from collector.ingest.jsonl import KINDS, ingest_lines, open_lines
from collector.rebuild import rebuild as rebuild_store
from collector.rebuild import verify as verify_store
from collector.settings import CollectorSettings, speak_to
from collector.stores import Reader, Store
from collector.stores.factory import open_reader, open_store
from contract import timestamps
from contract.codec import dump
from contract.errors import Misconfigured, Rejected, Unreachable
from contract.ingest_items import Item, Kind
from contract.settings import load

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="The data directory (else $MILEPOST_DATA_DIR, else ./milepost-data)")
]
Config = Annotated[Path | None, typer.Option("--config", help="A milepost.toml to use instead of the one found")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else")]
Truck = Annotated[str, typer.Argument(metavar="TRUCK", help="The truck_id")]
SomeTruck = Annotated[str | None, typer.Argument(metavar="TRUCK", help="Only this truck_id")]

app = typer.Typer(help="What the collector keeps, and what can be asked of it.")
dead_letters = typer.Typer(no_args_is_help=True, help="Input that was refused, with the reason.")
app.add_typer(dead_letters, name="dead-letters")


def settings_of(config: Path | None, data_dir: Path | None) -> CollectorSettings:
    """The room's settings, with `--data-dir` above all."""
    settings = load("collector", CollectorSettings, config)
    return settings.model_copy(update={"data_dir": data_dir}) if data_dir else settings


def _store_url(settings: CollectorSettings) -> str:
    """The settings' store; but that of the `milepost up --aws` that runs on the data directory, where one does."""
    try:
        said = json.loads((settings.data_dir / "up.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return settings.store_url
    if settings.store is not None or "store" not in said:
        return settings.store_url
    if not Path(f"/proc/{said['pid']}").exists():
        raise Unreachable(
            f"{settings.data_dir}: its `milepost up --aws` was killed: start it again, it goes on from there"
        )
    speak_to(said["aws"])
    return str(said["store"])


@contextmanager
def _reading(settings: CollectorSettings) -> Iterator[Reader | None]:
    url = _store_url(settings)
    reader = open_reader(url)
    with ExitStack() as stack:
        if reader:
            stack.callback(reader.close)
        else:
            typer.echo(f"No store at {url} yet: `milepost up` or `milepost ingest` makes one.", err=True)
        yield reader


@contextmanager
def _writing(settings: CollectorSettings, *, make: bool = False) -> Iterator[tuple[Store, Policy]]:
    """make: also where there is no store yet."""
    policy = Policy.of(settings.track)
    store = open_store(_store_url(settings), make=make)
    try:
        yield store, policy
    finally:
        store.close()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _print(document: Any) -> None:
    typer.echo(dump(document))


@app.command()
def ingest(
    files: Annotated[list[str], typer.Argument(metavar="FILE...|-", help="JSON Lines, one record a line; - is stdin")],
    stream: Annotated[str, typer.Option(help="What the records are: telemetry or clicks")] = "telemetry",
    data_dir: DataDir = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Take JSON Lines files into history. Safe to repeat: what is known counts as duplicate.

    Ends with one line, {"accepted":n,"duplicate":n,"rejected":n}. Exit 1 if anything was rejected; rejected lines
    are kept: see `milepost dead-letters list`.
    """
    if stream not in KINDS:
        raise Misconfigured(f"--stream {stream!r}: give one of {', '.join(KINDS)}")
    for file in files:
        if file != "-" and (not Path(file).exists() or Path(file).is_dir()):
            raise Misconfigured(f"no file {file!r}: give the path of a JSON Lines file, or - for stdin")
    counts = {"accepted": 0, "duplicate": 0, "rejected": 0}
    with _writing(settings_of(config, data_dir), make=True) as (store, policy):
        vouch_for_policy(store, policy)
        taker = Ingest(store, policy)
        for file in files:
            for sums in _ingest_file(taker, file, stream):
                done = sums
            counts = {status: count + done[status] for status, count in counts.items()}
    if not as_json and counts["rejected"]:
        typer.echo("Rejected records are kept with their reasons: `milepost dead-letters list`.", err=True)
    _print(counts)
    raise typer.Exit(1 if counts["rejected"] else 0)


def _ingest_file(taker: Ingest, file: str, stream: str) -> Iterator[dict[str, int]]:
    yield {"accepted": 0, "duplicate": 0, "rejected": 0}
    with ExitStack() as stack:
        lines = sys.stdin.buffer if file == "-" else stack.enter_context(open_lines(Path(file)))
        for sums in ingest_lines(taker, lines, stream, clock_ms=_now_ms):
            if sys.stderr.isatty():
                typer.echo(f"\r{file}: {sum(sums.values()):,} records", err=True, nl=False)
            yield sums
        if sys.stderr.isatty():
            typer.echo(err=True)


@app.command()
def trucks(data_dir: DataDir = None, config: Config = None, as_json: AsJson = False) -> None:
    """Every truck: its latest sample and its current version."""
    with _reading(settings_of(config, data_dir)) as reader:
        rows = queries.trucks(reader)
    if as_json:
        _print(rows)
        return
    cli_rendering.show(
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
    with _reading(settings_of(config, data_dir)) as reader:
        if known is None:
            rows = queries.history(reader, truck, instant)
        else:
            rows, retained_from = queries.history_known_at(reader, truck, known, instant)
            if retained_from:
                typer.echo(f"before {retained_from}: not known any more", err=True)
    if as_json:
        _print(rows)
        return
    cli_rendering.show(
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
def audit(truck: SomeTruck = None, data_dir: DataDir = None, config: Config = None, as_json: AsJson = False) -> None:
    """Is anything missing: received, holes, thinned, gone, per truck and stream. Exit 1 if something is."""
    settings = settings_of(config, data_dir)
    with _reading(settings) as reader:
        found = queries.audit(reader, now_ms=_now_ms(), grace_ms=int(settings.resend_after * 1000), truck_id=truck)
    complete = queries.complete(found)
    if as_json:
        _print(found)
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
        cli_rendering.show("Audit", list(shown), rows, empty="No streams yet.")
        verdict = "Nothing is missing." if complete else f"Incomplete: {found['lost']} lost for certain; see the holes."
        typer.echo(verdict)
    raise typer.Exit(0 if complete else 1)


@app.command()
def clicks(
    by: Annotated[str, typer.Option(help=f"One of {', '.join(queries.VIEWS)}")] = "item",
    data_dir: DataDir = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """What the shoppers did, counted by item, minute, page, session or as a funnel."""
    if by not in queries.VIEWS:
        raise Misconfigured(f"--by {by!r}: give one of {', '.join(queries.VIEWS)}")
    with _reading(settings_of(config, data_dir)) as reader:
        rows = queries.clicks(reader, by)
    if as_json:
        _print(rows)
        return
    names = list(rows[0]) if rows else []
    cli_rendering.show(f"Clicks by {by}", names, [list(row.values()) for row in rows], empty="No clicks yet.")


@dead_letters.command("list")
def list_letters(data_dir: DataDir = None, config: Config = None, as_json: AsJson = False) -> None:
    """Everything that was refused, oldest first."""
    with _reading(settings_of(config, data_dir)) as reader:
        rows = queries.dead_letters(reader)
    if as_json:
        _print(rows)
        return
    names = ["id", "received_at", "source", "field", "reason"]
    cli_rendering.show(
        "Dead letters", names, [[row[name] for name in names] for row in rows], empty="Nothing was refused."
    )


@dead_letters.command("show")
def show_letter(
    id: Annotated[str, typer.Argument(help="The id that `list` shows")],
    data_dir: DataDir = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """One dead letter whole, as it came."""
    with _reading(settings_of(config, data_dir)) as reader:
        row = queries.dead_letter(reader, id)
    if row is None:
        raise Misconfigured(f"no dead letter {id!r}: `milepost dead-letters list` shows the ids")
    if as_json:
        _print(row)
        return
    for name, value in row.items():
        typer.echo(f"{name}: {value}")


@dead_letters.command("retry")
def retry_letters(
    id: Annotated[str | None, typer.Argument(help="Only this one, else all")] = None,
    data_dir: DataDir = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Take dead letters in again, after whatever refused them was mended. Exit 1 if any is refused again."""
    counts = {"accepted": 0, "duplicate": 0, "rejected": 0}
    with _writing(settings_of(config, data_dir)) as (store, policy):
        vouch_for_policy(store, policy)
        letters = [letter for letter in store.dead_letters() if id in (None, letter.id)]
        if id and not letters:
            raise Misconfigured(f"no dead letter {id!r}: `milepost dead-letters list` shows the ids")
        taker = Ingest(store, policy)
        for letter in letters:
            receipts = taker.ingest(unpack(_item_of(letter.source, letter.payload, letter.received_ms)))
            for receipt in receipts:
                counts[receipt.status] += 1
            if all(receipt.status != "rejected" for receipt in receipts):
                with store.unit():
                    store.remove_dead_letter(letter.id)
    _print(counts) if as_json else typer.echo(", ".join(f"{count} {status}" for status, count in counts.items()))
    raise typer.Exit(1 if counts["rejected"] else 0)


def _item_of(source: str, payload: bytes, received_ms: int) -> Item:
    """The item that a dead letter was; its source is like mqtt:fleet/T1/report, http:telemetry/T1 or file:clicks."""
    door, _, what = source.partition(":")
    parts = what.split("/")
    at_topic = door == "mqtt" and len(parts) > 2
    name, truck_id = (parts[2], parts[1]) if at_topic else (parts[0], parts[1] if len(parts) > 1 else None)
    kinds: dict[str, Kind] = {"telemetry": "telemetry", "report": "report", "status": "status", "clicks": "click"}
    kind = kinds.get(name, "telemetry")
    from_door = source if at_topic else f"{door}:{name}"
    return Item(kind, from_door, payload, received_ms, truck_id=truck_id, date_by_arrival=door != "file")


@app.command()
def rebuild(truck: SomeTruck = None, data_dir: DataDir = None, config: Config = None, as_json: AsJson = False) -> None:
    """Recompute history from the stored samples under the current `track` policy, and the click counters."""
    with _writing(settings_of(config, data_dir)) as (store, policy):
        if truck:
            vouch_for_policy(store, policy)
        counts = rebuild_store(store, policy, truck)
    _print(counts) if as_json else typer.echo(f"Rebuilt {counts['versions']} versions of {counts['trucks']} trucks.")


@app.command()
def verify(truck: SomeTruck = None, data_dir: DataDir = None, config: Config = None, as_json: AsJson = False) -> None:
    """Compare history and counters with what the stored samples and events make. Exit 1 where they differ."""
    with _writing(settings_of(config, data_dir)) as (store, policy):
        vouch_for_policy(store, policy)
        faults = verify_store(store, policy, truck)
    if as_json:
        _print(faults)
    else:
        cli_rendering.show(
            "Faults",
            ["truck_id", "fault"],
            [[fault["truck_id"], fault["fault"]] for fault in faults],
            empty="History and counters are exactly what the samples and events make.",
        )
        if faults:
            typer.echo("Run `milepost rebuild` to make them right.", err=True)
    raise typer.Exit(1 if faults else 0)
