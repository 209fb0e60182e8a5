"""The parts of docs/scale.md on one machine, as plain processes: `make stack`, and `make stack-status` beside it.

PostgreSQL, Kafka, `milepost up` with Kafka between its doors and the collector, a second worker, lake and warehouse
builds into PostgreSQL, and the dashboard over that. It ends with a report on each part and the balance of what was
sent.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from collector.cli_rendering import show
from collector.streams.kafka import KafkaAddress, KafkaSettings, lag, make_topics
from contract import atomic_file
from contract.cli_options import AsJson
from contract.errors import MilepostError, Misconfigured
from deploy import local_kafka, local_postgresql
from deploy.ministack import free_port
from standalone.child_processes import Child, Children, lock, reap

STATE = "stack.json"
_BUILD_SECONDS = 30.0
_LOOK_SECONDS = 5.0
_READY_SECONDS = 120.0
_PREFIX = "milepost"
_MILEPOST = (sys.executable, "-P", "-m", "milepost")

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
Folder = Annotated[Path, typer.Option("--data-dir", help="Where all parts keep their data")]


@dataclass
class Stack:
    """The running parts of one folder."""

    folder: Path
    minutes: float | None
    parts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def run(self, stopped: threading.Event) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Start all, wait for the end of `up`, stop all; what `up` said and the last report on the parts."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            stack.enter_context(lock(self.folder))
            reap(self.folder)
            children = Children(self.folder)
            database = stack.enter_context(local_postgresql.LocalPostgresql(self.folder / "postgresql"))
            kafka = stack.enter_context(local_kafka.LocalKafka(self.folder / "kafka"))
            stack.callback((self.folder / STATE).unlink, missing_ok=True)
            stack.callback(children.stop, 20.0)
            self.parts["postgresql"] = {"pid": database.pid, "url": database.url}
            self.parts["kafka"] = {"pid": kafka.pid, "url": f"kafka://{kafka.address}/{_PREFIX}"}
            up = self._start_up(children)
            self._start(children, "worker", ["collect", "--stream", self.parts["kafka"]["url"], *self._data])
            port = free_port()
            shown = ["dashboard", "--port", str(port), "--engine", database.url, *self._data]
            builder = threading.Thread(target=self._build, args=(database.url, stopped), daemon=True)
            builder.start()
            self._start(children, "dashboard", shown, url=f"http://127.0.0.1:{port}")
            self._tell(up)
            report = self._watch(up, stopped)
            if up.alive:
                up.signal(signal.SIGTERM)
            up.wait(_READY_SECONDS)
            stopped.set()
            builder.join(_READY_SECONDS)
            self._build_once(database.url)
            return self._said(), report

    def _watch(self, up: Child, stopped: threading.Event) -> list[dict[str, Any]]:
        """Until `up` ends or all shall; the last report of the time in which everything was to run."""
        report = status(self.folder)
        while up.alive and not stopped.wait(_LOOK_SECONDS):
            looked = status(self.folder)
            report = looked if self._ready.exists() else report  # it goes before anything is closed
        return report

    @property
    def _ready(self) -> Path:
        return self.folder / "milepost" / "up.json"

    @property
    def _data(self) -> list[str]:
        return ["--data-dir", str(self.folder / "milepost")]

    def _start(self, children: Children, name: str, arguments: Sequence[str], **more: Any) -> Child:
        child = children.spawn([*_MILEPOST, *arguments], name=name, log=self.folder / f"{name}.log")
        self.parts[name] = {"pid": child.pid, **more}
        self._write()
        return child

    def _start_up(self, children: Children) -> Child:
        until = [] if self.minutes is None else ["--minutes", str(self.minutes)]
        arguments = ["up", "--stream", self.parts["kafka"]["url"], "--port", "0", "--speedup", "60", "--json", *until]
        self._ready.unlink(missing_ok=True)
        up = self._start(children, "milepost", [*arguments, *self._data])
        deadline = time.monotonic() + _READY_SECONDS
        while not self._ready.exists():
            if not up.alive or time.monotonic() > deadline:
                raise Misconfigured(f"milepost up did not start: see {self.folder / 'milepost.log'}")
            time.sleep(0.1)
        self.parts["milepost"]["url"] = json.loads(self._ready.read_text(encoding="utf-8"))["http"]
        return up

    def _tell(self, up: Child) -> None:
        self._write()
        for name, part in self.parts.items():
            typer.echo(f"{name:11} {part.get('url', '')}  pid {part['pid']}", err=True)
        left = "until Ctrl-C" if self.minutes is None else f"for {self.minutes:g} minutes"
        typer.echo(f"Running {left}; `make stack-status` looks at it. up is pid {up.pid}.", err=True)

    def _write(self) -> None:
        atomic_file.write(self.folder / STATE, json.dumps(self.parts) + "\n", durable=False)

    def _build(self, database: str, stopped: threading.Event) -> None:
        while not stopped.wait(_BUILD_SECONDS):
            self._build_once(database)

    def _build_once(self, database: str) -> None:
        """Lake and warehouse, as the timers of docs/scale.md would."""
        self.parts["builds"] = {"pid": os.getpid(), "at": time.time(), "code": 0}
        with (self.folder / "builds.log").open("ab") as log:
            for arguments in (["lake", "build"], ["warehouse", "build", "--engine", database]):
                argv = [*_MILEPOST, *arguments, *self._data]
                code = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False).returncode
                self.parts["builds"]["code"] = self.parts["builds"]["code"] or code
        self._write()

    def _said(self) -> dict[str, Any]:
        """The summary that `up` printed at its end."""
        lines = (self.folder / "milepost.log").read_text(encoding="utf-8", errors="replace").splitlines()
        found = [line for line in lines if line.startswith("{") and '"trucks"' in line]
        return json.loads(found[-1]) if found else {}


def status(folder: Path) -> list[dict[str, Any]]:
    """`[{part, up, detail}]` of the stack that runs on a folder. Raises Misconfigured where none does."""
    try:
        parts: dict[str, dict[str, Any]] = json.loads((folder / STATE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Misconfigured(f"no stack runs on {folder}: `make stack` starts one") from None
    rows = []
    for name, part in parts.items():
        alive = Path(f"/proc/{part['pid']}").exists()
        try:
            fine, detail = _LOOK.get(name, _no_more)(part) if alive else (False, "its process has ended")
        except (MilepostError, OSError, ValueError) as error:
            fine, detail = False, str(error)[:120]
        rows.append({"part": name, "up": alive and fine, "detail": detail})
    return rows


def _no_more(_: Mapping[str, Any]) -> tuple[bool, str]:
    return True, "runs"


def _look_at_kafka(part: Mapping[str, Any]) -> tuple[bool, str]:
    place = KafkaAddress.of(part["url"], KafkaSettings())
    make_topics(place)
    return True, "lag " + ", ".join(f"{topic} {count}" for topic, count in lag(place).items())


def _look_at_http(path: str) -> Callable[[Mapping[str, Any]], tuple[bool, str]]:
    def look(part: Mapping[str, Any]) -> tuple[bool, str]:
        try:
            with urllib.request.urlopen(part["url"] + path, timeout=10) as answer:
                said = answer.read(4096).decode("utf-8", "replace")
        except urllib.error.HTTPError as error:
            return False, f"{path} answers {error.code}"
        if not said.startswith("{"):
            return True, said[:60]
        health = json.loads(said)
        last = health.get("last_commit_ms")
        return "failing" not in health, str(health.get("failing") or f"last commit {last} ms" if last else "answers")

    return look


def _look_at_postgresql(part: Mapping[str, Any]) -> tuple[bool, str]:
    import psycopg

    with psycopg.connect(part["url"], connect_timeout=5) as connection:
        row = connection.execute("select count(*) from pg_tables where schemaname like 'marts%'").fetchone()
    return True, f"{row[0] if row else 0} tables of marts"


def _look_at_builds(part: Mapping[str, Any]) -> tuple[bool, str]:
    return part["code"] == 0, f"last {time.time() - part['at']:.0f} s ago, exit code {part['code']}"


_LOOK: dict[str, Callable[[Mapping[str, Any]], tuple[bool, str]]] = {
    "postgresql": _look_at_postgresql,
    "kafka": _look_at_kafka,
    "milepost": _look_at_http("/healthz"),
    "dashboard": _look_at_http("/_stcore/health"),
    "builds": _look_at_builds,
}


def _print(report: Sequence[Mapping[str, Any]]) -> None:
    rows = [[row["part"], "up" if row["up"] else "DOWN", row["detail"]] for row in report]
    show("Parts", ["part", "state", "detail"], rows, empty="Nothing runs.")


@app.command()
def run(
    minutes: Annotated[float | None, typer.Option(min=0.1, help="End after so many minutes")] = None,
    data_dir: Folder = Path("stack-data"),
) -> None:
    """Start all parts; end with the balance and a report. Exit 1 unless it balances and every part was up."""
    from standalone.balanced_run import balanced

    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=stopped.set).start())
    said, report = Stack(data_dir, minutes).run(stopped)
    _print(report)
    if not said:
        raise Misconfigured(f"milepost up ended without a summary: see {data_dir / 'milepost.log'}")
    whole = balanced(said) and all(row["up"] for row in report)
    clicks, trucks = said["clicks"], said["trucks"]
    typer.echo(
        f"Samples: {sum(row['sampled'] for row in trucks)} taken, {sum(row['stored'] for row in trucks)} stored."
        f" Clicks: {clicks['sent']} sent, {clicks['counted']} counted. "
        + ("It balances." if whole else "It does not balance, or a part was down.")
    )
    raise typer.Exit(0 if whole else 1)


@app.command("status")
def _status(data_dir: Folder = Path("stack-data"), as_json: AsJson = False) -> None:
    """Look at each part of the stack that runs: process, answer, lag, last build. Exit 1 where one is down."""
    report = status(data_dir)
    typer.echo(json.dumps(report)) if as_json else _print(report)
    raise typer.Exit(0 if all(row["up"] for row in report) else 1)


def main() -> None:
    """Errors that Milepost raises on purpose become one line."""
    try:
        app()
    except MilepostError as error:
        sys.stderr.write(f"milepost: {error}\n")
        sys.exit(2 if isinstance(error, Misconfigured) else 3)


if __name__ == "__main__":
    main()
