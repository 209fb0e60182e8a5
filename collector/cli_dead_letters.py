"""`milepost dead-letters list|show|retry|discard`."""

import math
from typing import Annotated

import typer

from collector import queries
from collector.cli_options import print_json, reading, settings_of, writing
from collector.ingest import Ingest, unpack, vouch_for_policy
from collector.ingest.validation import letter_item
from contract import cli_tables
from contract.cli_options import AsJson, Config, DataDir
from contract.errors import Misconfigured
from contract.forgotten import Forgotten

dead_letters = typer.Typer(no_args_is_help=True, help="Input that was refused, with the reason.")


@dead_letters.command("list")
def list_letters(data_dir: DataDir = None, config: Config = None, as_json: AsJson = False) -> None:
    """Everything that was refused, oldest first."""
    with reading(settings_of(config, data_dir)) as reader:
        rows = queries.dead_letters(reader)
    if as_json:
        print_json(rows)
        return
    names = ["id", "received_at", "source", "field", "reason"]
    cli_tables.show(
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
    with reading(settings_of(config, data_dir)) as reader:
        row = queries.dead_letter(reader, id)
    if row is None:
        raise Misconfigured(f"no dead letter {id!r}: `milepost dead-letters list` shows the ids")
    if as_json:
        print_json(row)
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
    """Take dead letters in again, after whatever refused them was mended. Exit 1 if any is refused again.

    A message of too many records is taken record by record, whatever their number; each that is refused is a letter.
    """
    counts = {"accepted": 0, "duplicate": 0, "rejected": 0}
    with writing(settings_of(config, data_dir)) as (store, policy):
        vouch_for_policy(store, policy)
        letters = [letter for letter in store.dead_letters() if id in (None, letter.id)]
        if id and not letters:
            raise Misconfigured(f"no dead letter {id!r}: `milepost dead-letters list` shows the ids")
        taker = Ingest(store, policy, forgotten=Forgotten(settings_of(config, data_dir).data_dir))
        for letter in letters:
            items = unpack(letter_item(letter.source, letter.payload, letter.received_ms), most=math.inf)
            receipts = taker.ingest(items)
            for receipt in receipts:
                counts[receipt.status] += 1
            # What is refused of several records is kept by itself now.
            if len(items) > 1 or all(receipt.status != "rejected" for receipt in receipts):
                with store.unit():
                    store.remove_dead_letter(letter.id)
    print_json(counts) if as_json else typer.echo(", ".join(f"{count} {status}" for status, count in counts.items()))
    raise typer.Exit(1 if counts["rejected"] else 0)


@dead_letters.command("discard")
def discard_letters(
    id: Annotated[str | None, typer.Argument(help="The id that `list` shows")] = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Discard all of them")] = False,
    data_dir: DataDir = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Delete a dead letter that nobody needs any more, or with --all every one."""
    if (id is None) is not every:
        raise Misconfigured("give the id of one dead letter, or --all")
    with writing(settings_of(config, data_dir)) as (store, _):
        found = [letter.id for letter in store.dead_letters() if every or letter.id == id]
        if id and not found:
            raise Misconfigured(f"no dead letter {id!r}: `milepost dead-letters list` shows the ids")
        with store.unit():
            for each in found:
                store.remove_dead_letter(each)
    print_json({"discarded": len(found)}) if as_json else typer.echo(f"Discarded {len(found)}.")
