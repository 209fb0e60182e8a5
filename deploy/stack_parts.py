"""What runs in a whole stack and by which command, in `make stack` and in compose.yaml alike: every part on loopback.

compose.yaml uses the network of its host, so that addresses, ports and who counts as this machine are the same in both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PREFIX = "milepost"
BUILD_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Ports:
    """Of every part, on 127.0.0.1."""

    mqtt: int = 1883
    kafka: int = 9092
    postgresql: int = 5432
    http: int = 8080
    dashboard: int = 8501
    prometheus: int = 9090


def commands(ports: Ports, database: str, data_dir: str) -> Mapping[str, list[str]]:
    """Part → program and arguments, of the parts that are Milepost's own.

    Args:
        ports: where the parts listen.
        database: URL of the PostgreSQL that holds the marts and the live tables.
        data_dir: the data directory that they share.
    """
    stream = f"kafka://127.0.0.1:{ports.kafka}/{PREFIX}"
    kept = ["--data-dir", data_dir]
    up = ["milepost", "up", "--broker", f"mqtt://127.0.0.1:{ports.mqtt}", "--stream", stream]
    return {
        "milepost": [*up, "--port", str(ports.http), "--speedup", "60", "--json", *kept],
        "worker": ["milepost", "collect", "--stream", stream, *kept],
        "builds": ["python", "-P", "-m", "deploy.builds", "--every", str(BUILD_SECONDS), "--engine", database, *kept],
        "dashboard": ["milepost", "dashboard", "--port", str(ports.dashboard), "--engine", database, *kept],
        "spark": ["python", "-m", "streaming", "--stream", stream],
    }


def mosquitto_conf(port: int) -> str:
    """A broker for this machine alone, which keeps what its clients have not fetched where it is started."""
    return f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\nmax_queued_messages 0\n"


def prometheus_yml(http_port: int, rules: str) -> dict[str, Any]:
    """Prometheus' settings: /metrics of Milepost every fifteen seconds, and the alert rules of the console.

    Args:
        http_port: of `milepost up`.
        rules: path of console/prometheus-rules.yml, as Prometheus sees it.
    """
    return {
        "global": {"scrape_interval": "15s", "evaluation_interval": "15s"},
        "rule_files": [rules],
        "scrape_configs": [
            {"job_name": "milepost", "static_configs": [{"targets": [f"127.0.0.1:{http_port}"]}]},
        ],
    }


def prometheus_command(config: str, data: Path | str, port: int) -> list[str]:
    """Program and arguments."""
    return ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={data}",
            f"--web.listen-address=127.0.0.1:{port}"]  # fmt: skip
