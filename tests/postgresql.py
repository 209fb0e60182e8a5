"""A PostgreSQL cluster of the tests' own: in a temporary folder, on a free port of 127.0.0.1."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from deploy.local_postgresql import LocalPostgresql, missing


@contextmanager
def cluster() -> Iterator[str]:
    """A server that runs until the end of the block; yields the URL of its database `postgres`.

    Skips the test where PostgreSQL is not installed.
    """
    if why := missing():
        pytest.skip(why)
    with tempfile.TemporaryDirectory(prefix="milepost-postgresql-") as name:
        Path(name).chmod(0o755)
        with LocalPostgresql(Path(name), durable=False) as running:
            yield running.url


def database(url: str, name: str) -> str:
    """A new, empty database in that cluster; its URL."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return url.rpartition("/")[0] + "/" + name
