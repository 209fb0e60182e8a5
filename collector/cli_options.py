"""What the collector's commands share: options, settings, and the store opened for reading or writing."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from collector.history import TrackingPolicy
from collector.settings import CollectorSettings, speak_to
from collector.stores import Reader, Store
from collector.stores.factory import open_reader, open_store
from contract.codec import dump
from contract.errors import Unreachable
from contract.settings import load

Truck = Annotated[str, typer.Argument(metavar="TRUCK", help="The truck_id")]
SomeTruck = Annotated[str | None, typer.Argument(metavar="TRUCK", help="Only this truck_id")]


def settings_of(config: Path | None, data_dir: Path | None) -> CollectorSettings:
    """The room's settings, with `--data-dir` above all.

    Args:
        config: a settings file, None for those that are looked for.
        data_dir: where the store lies, None as the settings say.

    Returns:
        The settings, checked.
    """
    settings = load("collector", CollectorSettings, config)
    return settings.model_copy(update={"data_dir": data_dir}) if data_dir else settings


def store_url_of(settings: CollectorSettings) -> str:
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
def reading(settings: CollectorSettings) -> Iterator[Reader | None]:
    url = store_url_of(settings)
    reader = open_reader(url)
    with ExitStack() as stack:
        if reader:
            stack.callback(reader.close)
        else:
            typer.echo(f"No store at {url} yet: `milepost up` or `milepost ingest` makes one.", err=True)
        yield reader


@contextmanager
def writing(settings: CollectorSettings, *, make: bool = False) -> Iterator[tuple[Store, TrackingPolicy]]:
    """make: also where there is no store yet."""
    policy = TrackingPolicy.of(settings.track)
    store = open_store(store_url_of(settings), make=make)
    try:
        yield store, policy
    finally:
        store.close()


def print_json(document: Any) -> None:
    typer.echo(dump(document))
