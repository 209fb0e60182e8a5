"""`milepost backup` and `milepost restore`: the data directory of one machine."""

import json
from pathlib import Path
from typing import Annotated

import typer

from collector.cli_options import settings_of
from commerce.settings import CommerceSettings
from contract.settings import load
from standalone.backup import back_up
from standalone.backup import restore as put_back

app = typer.Typer(no_args_is_help=True, add_completion=False)

DataDirectory = Annotated[Path | None, typer.Option(help="The data directory")]
Config = Annotated[Path | None, typer.Option(help="A milepost.toml to use instead of the one found")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document")]


@app.command()
def backup(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder for the backup")],
    data_dir: DataDirectory = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Copy every store of a data directory at one instant, also while `milepost up` runs.

    The backup holds private keys: its folder is closed to other users; keep it so.
    """
    source = settings_of(config, data_dir).data_dir
    files = back_up(source, folder, orders_url=_orders_url(config))
    said = {"data_dir": str(source), "backup": str(folder), "files": files}
    typer.echo(json.dumps(said) if as_json else f"{files} files of {source} are in {folder}")


@app.command()
def restore(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that `milepost backup` made")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Keep the present directory beside the restored one")
    ] = False,
    data_dir: DataDirectory = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Put a backup in place. Certificates that were revoked since it was taken stay revoked, and are named."""
    target = settings_of(config, data_dir).data_dir
    done = put_back(folder, target, replace=replace, orders_url=_orders_url(config))
    said = {
        "data_dir": str(target),
        "files": done.files,
        "replaced": str(done.replaced) if done.replaced else None,
        "kept_revoked": list(done.kept_revoked),
        "lake_left_out": done.lake_left_out,
        "forgotten_since": done.forgotten_since,
    }
    lines = [f"{done.files} files of {folder} are in {target}"]
    lines += [f"the former directory is in {done.replaced}"] if done.replaced else []
    lines += [f"stays revoked, though the backup takes it for active: {serial}" for serial in done.kept_revoked]
    lines += ["next: `milepost lake build`, since the lake cannot move to another folder"] if done.lake_left_out else []
    if done.forgotten_since:
        lines.append(f"forgotten since the backup: {done.forgotten_since} marks; say each `milepost forget` again")
    typer.echo(json.dumps(said) if as_json else "\n".join(lines))


def _orders_url(config: Path | None) -> str | None:
    """Of the PostgreSQL database that orders are in; None where they are in the data directory."""
    url = load("commerce", CommerceSettings, config).database or ""
    return url if url.startswith("postgresql:") else None
