"""What the commands of commerce share: options, the open database, tables that fit a terminal."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from collector.settings import CollectorSettings
from commerce.settings import CommerceSettings
from commerce.storage.database import Database, open_database
from contract.errors import Misconfigured
from contract.settings import load


def collector_settings(config: Path | None, data_dir: Path | None) -> CollectorSettings:
    """Where the installation's data are, with `--data-dir` above all."""
    settings = load("collector", CollectorSettings, config)
    return settings.model_copy(update={"data_dir": data_dir}) if data_dir else settings


@contextmanager
def open_commerce(config: Path | None, data_dir: Path | None, *, make: bool = False) -> Iterator[Database]:
    """The commerce database of an installation, until the end of the block.

    Args:
        config: of `--config`.
        data_dir: of `--data-dir`.
        make: whether to make one where there is none yet.

    Raises:
        Misconfigured: there is none yet.
    """
    folder = collector_settings(config, data_dir).data_dir
    settings = load("commerce", CommerceSettings, config)
    if make:
        folder.mkdir(parents=True, exist_ok=True)
    elif settings.database is None and not (folder / "commerce.db").exists():
        raise Misconfigured(f"no orders in {folder} yet: `milepost up` makes the database, or give --data-dir")
    database = open_database(settings.database_url(folder))
    try:
        yield database
    finally:
        database.close()


def cells(row: dict[str, Any], names: Sequence[str]) -> Iterator[Any]:
    """The named values of a row, None for those that it lacks."""
    return (row.get(name) for name in names)
