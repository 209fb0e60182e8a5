"""All parts of a whole stack on one machine, as plain processes: `make stack`, and `make stack-status` beside it.

PostgreSQL, Kafka, mosquitto, `milepost up` with Kafka between its doors and the collector, a second worker, the Spark
jobs, lake and warehouse builds into PostgreSQL, the dashboard over that, and Prometheus: the set of compose.yaml less
Grafana, whose program no registry has. It ends with a report on each part and the balance of what was sent.
"""

import getpass
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from collector.streams import Record
from collector.streams.kafka import KafkaAddress, KafkaSettings, KafkaStream, lag, make_topics
from contract import atomic_file
from contract.cli_options import AsJson
from contract.cli_tables import show
from contract.errors import MilepostError, Misconfigured
from contract.ports import free_port
from contract.process_signals import stop_event
from deploy import builds, local_kafka, local_postgresql
from deploy.stack_parts import PREFIX, Ports, commands, mosquitto_conf, prometheus_command, prometheus_yml
from deploy.stack_status import STATE, parts_of, status
from standalone.child_processes import Child, Children, lock, reap

SPARK_FILES = "spark"
"""Folder for what Spark keeps while it runs; it goes with the stack."""

_LOOK_SECONDS = 5.0
_READY_SECONDS = 120.0
_BUILT_SECONDS = 120.0
_ROOT = Path(__file__).parent.parent
_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
_SPARK = _ROOT / ".venv-spark/bin/python"

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
Folder = Annotated[Path, typer.Option("--data-dir", help="Where all parts keep their data")]


@dataclass
class Stack:
    """The running parts of one folder."""

    folder: Path
    minutes: float | None
    parts: dict[str, dict[str, Any]] = field(default_factory=dict)
    _running: dict[str, Child] = field(default_factory=dict)

    def run(self, stopped: threading.Event) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Start all, wait for the end of `up`, stop all.

        Returns:
            What `up` said, and the last report on the parts.
        """
        with self._infrastructure() as (ports, database):
            up = self._start_up(ports)
            self.parts["prometheus"]["milepost_runs"] = True
            self._start_own("worker")
            builder = self._start_own("builds", state=str(self._data_dir / builds.STATE))
            self._start_own("dashboard", url=f"http://127.0.0.1:{ports.dashboard}")
            self._start("spark", spark_command(self.folder, database, self._argv["spark"][1:]), url=database)
            self._tell()
            report = self._watch(up, stopped)
            if up.alive:
                up.signal(signal.SIGTERM)
            up.wait(_READY_SECONDS)
            builder.signal(signal.SIGTERM)  # it builds once more
            code = builder.wait(_BUILT_SECONDS)
            built = {"part": "builds", "up": code == 0, "detail": f"the last one ended with {code}", "exit_code": code}
            return self._said(), [*(row for row in report if row["part"] != "builds"), built]

    def run_infrastructure(self, stopped: threading.Event) -> None:
        """PostgreSQL, Kafka with its topics, mosquitto and Prometheus alone, until `stopped`."""
        with self._infrastructure():
            self._tell()
            stopped.wait()

    @contextmanager
    def tried(self) -> Iterator[dict[str, str]]:
        """Start the infrastructure, put one event through Kafka and one row through PostgreSQL; part → what it said."""
        import psycopg

        self.folder.chmod(0o755)  # PostgreSQL may run as another user
        with self._infrastructure() as (_, database):
            address = KafkaAddress.of(self.parts["kafka"]["url"], KafkaSettings())
            stream = KafkaStream(address, f"{address.prefix}-clicks")
            stream.put([Record("session", b"{}")])
            stream.close()
            with psycopg.connect(database) as connection:
                row = connection.execute("SELECT version()").fetchone()
            yield {"kafka": f"lag {lag(address)}", "postgresql": str(row[0])[:40] if row else ""}

    @contextmanager
    def _infrastructure(self) -> Iterator[tuple[Ports, str]]:
        """The parts that others stand on, until the end of the block; then all that was started ends."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            stack.enter_context(lock(self.folder))
            reap(self.folder)
            self._children = Children(self.folder)
            database = stack.enter_context(local_postgresql.LocalPostgresql(self.folder / "postgresql"))
            kafka = stack.enter_context(local_kafka.LocalKafka(self.folder / "kafka"))
            stack.callback((self.folder / STATE).unlink, missing_ok=True)
            stack.callback(shutil.rmtree, self.folder / SPARK_FILES, ignore_errors=True)
            stack.callback(self._children.stop, 60.0)
            ports = Ports(free_port(), kafka.port, database.port, free_port(), free_port(), free_port())
            self._argv = commands(ports, database.url, str(self._data_dir))
            self.parts["postgresql"] = {"pid": database.pid, "url": database.url}
            self.parts["kafka"] = {"pid": kafka.pid, "url": f"kafka://{kafka.address}/{PREFIX}"}
            make_topics(KafkaAddress.of(self.parts["kafka"]["url"], KafkaSettings()))
            self._start("mosquitto", self._mosquitto(ports.mqtt), url=f"mqtt://127.0.0.1:{ports.mqtt}")
            self._start("prometheus", self._prometheus(ports), url=f"http://127.0.0.1:{ports.prometheus}")
            yield ports, database.url

    @staticmethod
    def _own(argv: Sequence[str]) -> list[str]:
        """A command of ours with this environment's interpreter."""
        call = {"milepost": [sys.executable, "-P", "-m", "milepost"], "python": [sys.executable]}
        return [*call[argv[0]], *argv[1:]]

    def _start_own(self, name: str, *more: str, **said: Any) -> Child:
        return self._start(name, [*self._own(self._argv[name]), *more], **said)

    def _mosquitto(self, port: int) -> list[str]:
        folder = self.folder / "mosquitto"
        folder.mkdir(exist_ok=True)
        text = mosquitto_conf(port) + f"persistence_location {folder.absolute()}/\nuser {getpass.getuser()}\n"
        (folder / "mosquitto.conf").write_text(text, encoding="utf-8")
        return ["mosquitto", "-c", str(folder / "mosquitto.conf")]

    def _prometheus(self, ports: Ports) -> list[str]:
        config = self.folder / "prometheus.json"  # JSON is YAML
        rules = str(_ROOT / "console/prometheus-rules.yml")
        config.write_text(json.dumps(prometheus_yml(ports.http, rules)), encoding="utf-8")
        return prometheus_command(str(config), self.folder / "prometheus", ports.prometheus)

    def _watch(self, up: Child, stopped: threading.Event) -> list[dict[str, Any]]:
        """Until `up` ends or all shall; the last report of the time in which everything was to run."""
        report, asked = status(self.folder), False
        while up.alive and not asked:
            asked = stopped.wait(_LOOK_SECONDS)
            self._note_codes()
            looked = status(self.folder)
            report = looked if self._ready.exists() else report  # it goes before anything is closed
        return report

    @property
    def _ready(self) -> Path:
        return self._data_dir / "up.json"

    @property
    def _data_dir(self) -> Path:
        return self.folder / "milepost"

    def _start(self, name: str, argv: Sequence[str], **more: Any) -> Child:
        child = self._running[name] = self._children.spawn(argv, name=name, log=self.folder / f"{name}.log")
        self.parts[name] = {"pid": child.pid, **more}
        self._write()
        return child

    def _note_codes(self) -> None:
        """For `make stack-status`: how what has ended did end."""
        ended = {name: child.returncode for name, child in self._running.items() if not child.alive}
        for name, code in ended.items():
            self.parts[name]["code"] = code
        if ended:
            self._write()

    def _start_up(self, ports: Ports) -> Child:
        self._ready.unlink(missing_ok=True)
        until = [] if self.minutes is None else ["--minutes", str(self.minutes)]
        up = self._start_own("milepost", *until, url=f"http://127.0.0.1:{ports.http}")
        deadline = time.monotonic() + _READY_SECONDS
        while not self._ready.exists():
            if not up.alive or time.monotonic() > deadline:
                raise Misconfigured(f"milepost up did not start: see {self.folder / 'milepost.log'}")
            time.sleep(0.1)
        return up

    def _tell(self) -> None:
        self._write()
        for name, part in self.parts.items():
            typer.echo(f"{name:11} {part.get('url', '')}  pid {part['pid']}", err=True)
        left = "until Ctrl-C" if self.minutes is None else f"for {self.minutes:g} minutes"
        typer.echo(f"Running {left}; `make stack-status` looks at it.", err=True)

    def _write(self) -> None:
        atomic_file.write(self.folder / STATE, json.dumps(self.parts) + "\n", durable=False)

    def _said(self) -> dict[str, Any]:
        """The summary that `up` printed at its end."""
        lines = (self.folder / "milepost.log").read_text(encoding="utf-8", errors="replace").splitlines()
        found = [line for line in lines if line.startswith("{") and '"trucks"' in line]
        return json.loads(found[-1]) if found else {}


def spark_command(folder: Path, database: str, arguments: Sequence[str]) -> list[str]:
    """Program and arguments of the Spark jobs, in their own environment.

    Args:
        folder: of the stack: checkpoints, temporary files, and the markers of `milepost forget`.
        database: URL of the PostgreSQL that holds the live tables.
        arguments: for the interpreter.

    Raises:
        Misconfigured: that environment is not made.
    """
    if not _SPARK.exists():
        raise Misconfigured("the Spark environment is not made: make .venv-spark/ready")
    variables = {
        "PYTHONPATH": str(_ROOT),
        "SPARK_LOCAL_DIRS": str(folder.absolute() / SPARK_FILES),
        "MILEPOST_DATA_DIR": str(folder.absolute() / "milepost"),
        "MILEPOST_STREAMING__DATABASE": database,
        "MILEPOST_STREAMING__CHECKPOINTS": str(folder.absolute() / "checkpoints"),
    }
    return ["env", *(f"{name}={value}" for name, value in variables.items()), str(_SPARK), *arguments]


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

    said, report = Stack(data_dir, minutes).run(stop_event())
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


@app.command()
def infrastructure(data_dir: Folder = Path("stack-data")) -> None:
    """Start PostgreSQL, Kafka, mosquitto and Prometheus alone, until Ctrl-C."""
    Stack(data_dir, None).run_infrastructure(stop_event())


@app.command()
def topic(data_dir: Folder = Path("stack-data")) -> None:
    """Print where a producer of shop events puts them: `milepost simulate events --to …`."""
    typer.echo(parts_of(data_dir)["kafka"]["url"] + "-clicks")


@app.command()
def processor(data_dir: Folder = Path("stack-data")) -> None:
    """Run the Spark jobs on the topics and the database of the stack that runs, until Ctrl-C."""
    parts = parts_of(data_dir)
    if "spark" in parts:
        raise Misconfigured("this stack runs its Spark jobs already: `make stack-infrastructure` starts one without")
    call = ["-m", "streaming", "--stream", parts["kafka"]["url"]]
    argv = spark_command(data_dir, parts["postgresql"]["url"], call)
    os.execvp(argv[0], argv)


@app.command("lag")
def _lag(stream: Annotated[str, typer.Option(metavar="URL", help="kafka://HOST:PORT/PREFIX")]) -> None:
    """Print what the workers have not finished, by topic; exit 3 where no broker answers."""
    typer.echo(json.dumps(lag(KafkaAddress.of(stream, KafkaSettings()))))


@app.command()
def check() -> None:
    """Whether all that the stack needs is here: start a Kafka and a PostgreSQL, and put one record through each."""
    wanted = {
        "java and Kafka's jars": local_kafka.missing(),
        "PostgreSQL": local_postgresql.missing(),
        **{
            name: None if shutil.which(name, path=_PATH) else f"not installed: apt-get install {name}"
            for name in ("mosquitto", "prometheus")
        },
        "the Spark environment": None if _SPARK.exists() else "not made: make .venv-spark/ready",
    }
    for name, why in wanted.items():
        typer.echo(f"{name:24} {why or 'there'}")
    if any(wanted.values()):
        raise typer.Exit(3)
    with tempfile.TemporaryDirectory(prefix="milepost-stack-") as name, Stack(Path(name), None).tried() as found:
        for part, said in found.items():
            typer.echo(f"{part:24} {said}")


def main() -> None:
    """Errors that Milepost raises on purpose become one line."""
    try:
        app()
    except MilepostError as error:
        sys.stderr.write(f"milepost: {error}\n")
        sys.exit(2 if isinstance(error, Misconfigured) else 3)


if __name__ == "__main__":
    main()
