"""How each part of a running stack does: its process, its answer, Kafka's lag, the last event, the last exit code."""

import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from collector.streams.kafka import KafkaAddress, KafkaSettings, lag
from contract.errors import MilepostError, Misconfigured

STATE = "stack.json"


def parts_of(folder: Path) -> dict[str, dict[str, Any]]:
    """Part → pid, url and more, of the stack that runs on a folder.

    Raises:
        Misconfigured: none does.
    """
    try:
        found: dict[str, dict[str, Any]] = json.loads((folder / STATE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Misconfigured(f"no stack runs on {folder}: `make stack` starts one") from None
    return found


def status(folder: Path) -> list[dict[str, Any]]:
    """`[{part, up, detail, exit_code}]` of the stack that runs on a folder; exit_code is null while a part runs.

    Raises:
        Misconfigured: none does.
    """
    rows = []
    for name, part in parts_of(folder).items():
        alive = Path(f"/proc/{part['pid']}").exists()
        try:
            fine, detail = (
                _LOOK.get(name, _no_more)(part)
                if alive
                else (False, f"ended, exit code {part.get('code', 'not known')}")
            )
        except (MilepostError, OSError, ValueError) as error:
            fine, detail = False, str(error)[:120]
        code = None if alive else part.get("code")
        rows.append({"part": name, "up": alive and fine, "detail": detail, "exit_code": code})
    return rows


def _no_more(_: Mapping[str, Any]) -> tuple[bool, str]:
    return True, "runs"


def _look_at_kafka(part: Mapping[str, Any]) -> tuple[bool, str]:
    address = KafkaAddress.of(part["url"], KafkaSettings())
    return True, "lag " + ", ".join(f"{topic} {count}" for topic, count in lag(address).items())


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
        detail = f"last commit {time.time() - last / 1000:.0f} s ago" if last else "answers"
        return "failing" not in health, str(health.get("failing") or detail)

    return look


def _look_at_postgresql(part: Mapping[str, Any]) -> tuple[bool, str]:
    import psycopg

    with psycopg.connect(part["url"], connect_timeout=5) as connection:
        row = connection.execute("select count(*) from pg_tables where schemaname like 'marts%'").fetchone()
    return True, f"{row[0] if row else 0} tables of marts"


def _look_at_builds(part: Mapping[str, Any]) -> tuple[bool, str]:
    try:
        last = json.loads(Path(part["state"]).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return True, "the first has not ended yet"
    return last["code"] == 0, f"last {time.time() - last['at']:.0f} s ago, exit code {last['code']}"


def _look_at_mosquitto(part: Mapping[str, Any]) -> tuple[bool, str]:
    address = urlsplit(part["url"])
    socket.create_connection((address.hostname or "", address.port or 0), 5).close()
    return True, "takes connections"


def _look_at_prometheus(part: Mapping[str, Any]) -> tuple[bool, str]:
    with urllib.request.urlopen(f"{part['url']}/api/v1/query?query=up", timeout=10) as answer:
        found = json.load(answer)["data"]["result"]
    seen = [each for each in found if each["value"][1] == "1"]
    fine = len(seen) == len(found) or not part.get("milepost_runs")
    return fine, f"scrapes {len(seen)} of {len(found)}" if found else "has not scraped yet"


def _look_at_spark(part: Mapping[str, Any]) -> tuple[bool, str]:
    import psycopg

    with psycopg.connect(part["url"], connect_timeout=5) as connection:
        if connection.execute("SELECT to_regclass('live.quarantine')").fetchone() == (None,):
            return True, "starts"
        row = connection.execute(
            "SELECT count(*), (SELECT coalesce(sum(dropped), 0) FROM live.late_rows), max(received_at)"
            " FROM live.raw_event"
        ).fetchone()
    count, late, last = row or (0, 0, None)
    return True, f"{count} raw events, {late} late" + (f", last of {last:%H:%M:%S} UTC" if last else "")


_LOOK: dict[str, Callable[[Mapping[str, Any]], tuple[bool, str]]] = {
    "postgresql": _look_at_postgresql,
    "kafka": _look_at_kafka,
    "mosquitto": _look_at_mosquitto,
    "milepost": _look_at_http("/healthz"),
    "dashboard": _look_at_http("/_stcore/health"),
    "builds": _look_at_builds,
    "prometheus": _look_at_prometheus,
    "spark": _look_at_spark,
}
