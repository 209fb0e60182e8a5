"""A PostgreSQL cluster of the tests' own: in a temporary folder, on a free port of 127.0.0.1, stopped by its pid."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.processes import end, free_port

_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
MISSING = "PostgreSQL is not installed: apt-get install postgresql"


def _program(name: str) -> str | None:
    folders = os.pathsep.join([*map(str, reversed(_PROGRAMS)), os.environ.get("PATH", "")])
    return shutil.which(name, path=folders)


@contextmanager
def cluster() -> Iterator[str]:
    """A server that runs until the end of the block; yields the URL of its database `postgres`.

    Skips the test where PostgreSQL is not installed. It refuses to run as root, so that root starts it as `nobody`.
    """
    initdb, server = _program("initdb"), _program("postgres")
    if not (initdb and server):
        pytest.skip(MISSING)
    user = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    with tempfile.TemporaryDirectory(prefix="milepost-postgresql-") as name:
        folder = Path(name)
        if user:
            folder.chmod(0o755)
            shutil.chown(folder, "nobody", "nogroup")
        data = folder / "data"
        quick = ["--no-sync", "--auth=trust", "--username=milepost", "--encoding=UTF8", "--locale=C.UTF-8"]
        subprocess.run([initdb, "-D", str(data), *quick], check=True, capture_output=True, cwd=name, **user)  # type: ignore[call-overload]
        port = free_port()
        settings = ["listen_addresses=127.0.0.1", f"port={port}", f"unix_socket_directories={name}", "fsync=off"]
        options = [part for setting in settings for part in ("-c", setting)]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(  # type: ignore[call-overload]
                [server, "-D", str(data), *options], stdout=log, stderr=log, cwd=name, **user
            )
        try:
            url = f"postgresql://milepost@127.0.0.1:{port}/postgres"
            _wait(url, process, folder / "log")
            yield url
        finally:
            end(process)


def database(url: str, name: str) -> str:
    """A new, empty database in that cluster; its URL."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return url.rpartition("/")[0] + "/" + name


def _wait(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(300):
        try:
            psycopg.connect(url, connect_timeout=1).close()
            return
        except psycopg.OperationalError:
            if process.poll() is not None:
                break
            time.sleep(0.05)
    raise RuntimeError(f"PostgreSQL did not start: {log.read_text()[-500:]}")
