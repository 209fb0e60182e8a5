"""PostgreSQL on this machine, for tests, `make stack` and trials: a cluster of one's own, on a free loopback port."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from contract.errors import Misconfigured, Unreachable
from contract.ports import free_port
from standalone.child_processes import Child, Children

_START_SECONDS = 60.0
_STOP_SECONDS = 10.0


def missing() -> str | None:
    """Why none can be started here, and the remedy; None where one can."""
    found = all(_program(name) for name in ("initdb", "postgres"))
    return None if found else "PostgreSQL is not installed: apt-get install postgresql"


def _program(name: str) -> str | None:
    folders = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    return shutil.which(name, path=os.pathsep.join([*folders, os.environ.get("PATH", "")]))


class LocalPostgresql:
    """One server with its data in `folder`; use it as a context. It lets in whoever reaches it, without a password.

    Args:
        folder: for its data and log; what lies there from an earlier start is there again. It refuses to run as root,
            so that root gives the folder to `nobody`.
        durable: False leaves out fsync, for data that a test throws away.
    """

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        if why := missing():
            raise Misconfigured(why)
        self.folder = folder.absolute()
        self._durable = durable
        self._user: dict[str, Any] = (
            {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
        )
        self._child: Child | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Of its database `postgres`."""
        return f"postgresql://milepost@127.0.0.1:{self.port}/postgres"

    @property
    def pid(self) -> int | None:
        """Of the running server."""
        return self._child.pid if self._child else None

    def __enter__(self) -> "LocalPostgresql":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when it answers. Raises Unreachable."""
        cluster = self.folder / "cluster"
        data = cluster / "data"
        if not data.exists():
            cluster.mkdir(parents=True, exist_ok=True)
            if self._user:
                shutil.chown(cluster, "nobody", "nogroup")
            kind = ["--auth=trust", "--username=milepost", "--encoding=UTF8", "--locale=C.UTF-8"]
            argv = [str(_program("initdb")), "-D", str(data), "--no-sync", *kind]
            done = subprocess.run(argv, capture_output=True, text=True, cwd=cluster, check=False, **self._user)
            if done.returncode:
                raise Unreachable(f"initdb made no cluster in {cluster}: {done.stderr[-500:]}")
        self.port = free_port()
        settings = ["listen_addresses=127.0.0.1", f"port={self.port}", "unix_socket_directories="]
        if not self._durable:
            settings.append("fsync=off")
        options = [part for setting in settings for part in ("-c", setting)]
        self._child = Children(self.folder).spawn(
            [*self._as_user(), str(_program("postgres")), "-D", str(data), *options],
            name="postgresql",
            log=self.folder / "postgresql.log",
            death_signal=signal.SIGINT,
        )
        self._wait()

    def _as_user(self) -> list[str]:
        return (
            ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--pdeathsig", "INT"]
            if self._user
            else []
        )

    def _wait(self) -> None:
        import psycopg

        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._child is not None and self._child.alive:
            try:
                psycopg.connect(self.url, connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                time.sleep(0.05)
        self.stop()
        log = (self.folder / "postgresql.log").read_text(encoding="utf-8", errors="replace")
        raise Unreachable(f"PostgreSQL did not start: {log[-800:]}")

    def stop(self) -> None:
        """End it in good order: connections are cut (SIGINT, a fast shutdown). What is not durable is not written down
        first (SIGQUIT)."""
        if self._child is not None and self._child.alive:
            self._child.signal(signal.SIGINT if self._durable else signal.SIGQUIT)
            if self._child.wait(_STOP_SECONDS) is None:
                self._child.stop(0)
