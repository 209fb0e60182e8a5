"""Opens the store that a URL names: SQLite on one machine, DynamoDB on AWS."""

from pathlib import Path

from collector.stores import Reader, Store
from contract.errors import Misconfigured

_DYNAMODB = "dynamodb://"


def open_store(url: str, *, make: bool = True) -> Store:
    """The store that a URL names: `sqlite:///relative.db` or `sqlite:////absolute.db`, or `dynamodb://PREFIX`: the
    tables `PREFIX-samples` … of the account or endpoint that AWS's own variables name.

    Args:
        url: as above.
        make: a file that is not there is made; tables are made by who deploys them.

    Returns:
        A store that is ready to be written.

    Raises:
        Misconfigured: the URL is none of these, or there is no file and none is to be made.
    """
    if url.startswith(_DYNAMODB):
        from collector.stores.dynamodb import DynamoDbStore

        return DynamoDbStore(url.removeprefix(_DYNAMODB))
    from collector.stores.sqlite.store import SqliteStore

    path = _sqlite_path(url)
    if not make and not path.exists():
        raise Misconfigured(f"no store at {url}: give its --data-dir; `milepost up` or `milepost ingest` makes one")
    return SqliteStore(path)


def open_reader(url: str) -> Reader | None:
    """The store for reading only; None where there is no store yet. Changes no file.

    Args:
        url: as `open_store` takes it.

    Returns:
        A reader that is safe while others write.

    Raises:
        Misconfigured: the URL is none of these.
    """
    if url.startswith(_DYNAMODB):
        from collector.stores.dynamodb import DynamoDbReader

        reader = DynamoDbReader(url.removeprefix(_DYNAMODB))
        return reader if reader.exists() else None
    from collector.stores.sqlite.reader import SqliteReader
    from collector.stores.sqlite.schema import NotYetMade

    path = _sqlite_path(url)
    try:
        return SqliteReader(path) if path.exists() else None
    except NotYetMade:
        return None


def _sqlite_path(url: str) -> Path:
    if not url.startswith("sqlite:///") or url == "sqlite:///":
        raise Misconfigured(f"store {url!r}: give sqlite:///path/to/milepost.db or dynamodb://PREFIX")
    return Path(url.removeprefix("sqlite:///"))
