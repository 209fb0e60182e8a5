"""Apache Kafka on this machine, for tests, `make stack` and trials: one broker in KRaft mode, of Kafka's own jars.

The jars come once by Maven into .tools/kafka (deploy/kafka/pom.xml names the version); Java and Maven are Debian's.
`python -m deploy.local_kafka fetch` brings them; where they are missing, `missing` says what to do.
"""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from contract.errors import Misconfigured, Unreachable
from contract.ports import free_port
from standalone.child_processes import Child, Children

ROOT = Path(__file__).parent.parent
JARS = ROOT / ".tools/kafka"
POM = Path(__file__).parent / "kafka/pom.xml"
_START_SECONDS = 90.0
_STOP_SECONDS = 20.0
_CLUSTER = "bWlsZXBvc3QtbG9jYWwtMQ"


def missing() -> str | None:
    """Why no broker can be started here, and the remedy; None where one can."""
    if shutil.which("java") is None:
        return "no Java: apt-get install default-jre-headless"
    if not any(JARS.glob("kafka_*.jar")):
        return "no Kafka jars: apt-get install maven && make .tools/kafka/ready"
    return None


def fetch() -> None:
    """Bring the jars. Raises Unreachable with Maven's own words."""
    if (maven := shutil.which("mvn")) is None:
        raise Misconfigured("no Maven: apt-get install maven")
    argv = [maven, "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={JARS}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unreachable(f"Maven did not bring Kafka's jars: {(done.stdout + done.stderr)[-800:]}")


class LocalKafka:
    """One broker with its data in `folder`; use it as a context, or `start`, `kill` and `start` it again.

    Args:
        folder: for its data and log; what lies there from an earlier start is there again.
        port: of the clients' listener, 0 for a free one.
        more: further lines of server.properties, such as a second listener.
    """

    def __init__(self, folder: Path, *, port: int = 0, more: Mapping[str, str] | None = None) -> None:
        if why := missing():
            raise Misconfigured(why)
        self.folder = folder.absolute()
        self.port = port or free_port()
        self._controller = free_port()
        self._more = dict(more or {})
        self._child: Child | None = None

    @property
    def address(self) -> str:
        """host:port for clients."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """Of the running broker."""
        return self._child.pid if self._child else None

    def __enter__(self) -> "LocalKafka":
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when it answers a client. Raises Unreachable."""
        data = self.folder / "data"
        properties = self.folder / "server.properties"
        if not data.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            lines = {**self.properties(data), **self._more}
            properties.write_text("".join(f"{name}={value}\n" for name, value in lines.items()), encoding="utf-8")
            argv = [*_java(128), "kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", str(properties)]
            subprocess.run(argv, check=True, capture_output=True)
        self._child = Children(self.folder).spawn(
            [*_java(512), "kafka.Kafka", str(properties)],
            name="kafka",
            log=self.folder / "kafka.log",
            death_signal=signal.SIGKILL,
        )
        self._wait()

    def properties(self, data: Path) -> dict[str, str]:
        controller = f"127.0.0.1:{self._controller}"
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL",
            "controller.quorum.voters": f"1@{controller}",
            "log.dirs": str(data),
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "auto.create.topics.enable": "false",
        }

    def _wait(self) -> None:
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        admin = AdminClient({"bootstrap.servers": self.address, "log_level": 0})
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._child is not None and self._child.alive:
            try:
                if admin.list_topics(timeout=1.0).brokers:
                    return
            except KafkaException:
                time.sleep(0.1)
        self.stop()
        log = (self.folder / "kafka.log").read_text(encoding="utf-8", errors="replace")
        raise Unreachable(f"Kafka did not start: {log[-1000:]}")

    def stop(self) -> None:
        """End it in good order."""
        if self._child is not None:
            self._child.stop(_STOP_SECONDS)

    def kill(self) -> None:
        """SIGKILL; what it acknowledged is there after the next start."""
        if self._child is not None:
            self._child.signal(signal.SIGKILL)
            self._child.wait(_STOP_SECONDS)


def _java(megabytes: int) -> list[str]:
    options = [f"-Xmx{megabytes}m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    return [str(shutil.which("java")), *options, "-cp", f"{JARS}/*"]


if __name__ == "__main__":
    if sys.argv[1:] != ["fetch"]:
        sys.exit("usage: python -m deploy.local_kafka fetch")
    fetch()
