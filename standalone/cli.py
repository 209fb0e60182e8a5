"""`milepost backup` and `milepost restore`: the data directory of one machine."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from collector.cli_options import settings_of
from collector.settings import CollectorSettings
from collector.streams.kafka_offsets import OFFSETS, USED, offsets_text
from commerce.settings import CommerceSettings
from contract.errors import Misconfigured
from contract.settings import load
from standalone.backup import back_up
from standalone.backup import restore as put_back
from warehouse.settings import LakeSettings, WarehouseSettings, lake_folder, warehouse_file

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
    settings = settings_of(config, data_dir)
    source = settings.data_dir
    places = _elsewhere(settings, config)
    files = back_up(source, folder, orders_url=_orders_url(config), elsewhere=places, offsets=_offsets(source, config))
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
    settings = settings_of(config, data_dir)
    target = settings.data_dir
    places = _elsewhere(settings, config)
    done = put_back(folder, target, replace=replace, orders_url=_orders_url(config), elsewhere=places)
    said = {
        "data_dir": str(target),
        "files": done.files,
        "replaced": str(done.replaced) if done.replaced else None,
        "kept_revoked": list(done.kept_revoked),
        "forgotten_since": done.forgotten_since,
        "stream_again": (target / OFFSETS).exists(),
    }
    lines = [f"{done.files} files of {folder} are in {target}"]
    lines += [f"the former directory is in {done.replaced}"] if done.replaced else []
    lines += [f"stays revoked, though the backup takes it for active: {serial}" for serial in done.kept_revoked]
    if done.forgotten_since:
        lines.append(f"forgotten since the backup: {done.forgotten_since} marks; say each `milepost forget` again")
    if said["stream_again"]:
        lines.append(
            f"the next `milepost up --stream` or `collect` on {target} reads again what Kafka has had since the backup"
        )
    typer.echo(json.dumps(said) if as_json else "\n".join(lines))


def _offsets(data_dir: Path, config: Path | None) -> Callable[[], str] | None:
    """What says where the stream's workers stand; None where records come through none."""
    if not (data_dir / USED).exists():
        return None
    from collector.streams.kafka import KafkaAddress, KafkaSettings

    url = (data_dir / USED).read_text(encoding="utf-8").strip()
    return partial(offsets_text, KafkaAddress.of(url, load("kafka", KafkaSettings, config)))


def _orders_url(config: Path | None) -> str | None:
    """Of the PostgreSQL database that orders are in; None where they are in the data directory."""
    url = load("commerce", CommerceSettings, config).database or ""
    return url if url.startswith("postgresql:") else None


def _elsewhere(settings: CollectorSettings, config: Path | None) -> dict[str, Path]:
    """What the settings put elsewhere than in the data directory: its ordinary name there → where it is.

    Raises:
        Misconfigured: the store is no file of this machine.
    """
    kind, _, store = settings.store_url.partition(":///")
    if kind != "sqlite":
        raise Misconfigured(
            f"the store is {settings.store_url}: this command copies SQLite stores; on AWS use DynamoDB's own backups"
            " (docs/deploy-aws.md)"
        )
    folder = settings.data_dir
    orders = load("commerce", CommerceSettings, config).database_url(folder)
    places = {
        "milepost.db": Path(store),
        "lake": lake_folder(load("lake", LakeSettings, config), folder),
        "warehouse.duckdb": warehouse_file(load("warehouse", WarehouseSettings, config), folder),
    }
    if orders.startswith("sqlite:///"):
        places["commerce.db"] = Path(orders.removeprefix("sqlite:///"))
    inside = folder.resolve()
    return {name: path for name, path in places.items() if path.resolve() != inside / name}
