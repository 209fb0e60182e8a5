"""`milepost up --stream` on Apache Kafka: everything goes through it, and nothing is lost when parts are killed."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import jsonschema
import pytest

from collector.streams import kafka_offsets
from collector.streams.kafka import KafkaAddress, KafkaSettings
from collector.streams.kafka_offsets import OFFSETS, note_used
from deploy.local_kafka import LocalKafka
from tests import kafka
from tests import milepost_here as here
from tests.milepost_process import REPOSITORY, finish, start
from tests.processes import free_port
from tests.standalone.up import Up
from tests.waiting import until


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """One of these tests' own, to be killed; each has topics of its own and leaves it running."""
    kafka.require()
    with LocalKafka(tmp_path_factory.mktemp("kafka")) as running:
        yield running


@pytest.mark.parametrize("killed", [False, pytest.param(True, marks=pytest.mark.prove)])
def test_after_a_restore_what_kafka_has_is_read_again_and_counted_once(
    tmp_path: Path, broker: LocalKafka, killed: bool
) -> None:
    """Also what was acknowledged before the backup, and was still waiting for a worker; by `up` and by `collect` alike.

    A worker that was killed has not left its group: it is waited for until Kafka takes it for gone.
    """
    stream = ("--trucks", "0", "--shoppers", "0", "--stream", kafka.url(broker.address))
    up = Up(tmp_path / "data")
    url = up.start(*stream)["http"]

    def accepted(numbers: range) -> None:
        for number in numbers:
            click = {"event_id": f"E{number}", "event_type": "view", "item_id": "I1"}
            sample = {
                "truck_id": "K-1",
                "stream_id": "s",
                "seq": number + 1,
                "vehicle_speed": 1,
                "sampled_at": instant(),
            }
            assert httpx.post(f"{url}/v1/clicks", json=click, timeout=60).status_code == 200
            assert httpx.post(f"{url}/v1/telemetry", json=sample, timeout=60).status_code == 200

    accepted(range(10))
    until(lambda: counted(up) == (10, 10))
    pid = worker_of(up.folder)
    os.kill(pid, signal.SIGSTOP)  # what comes now waits in Kafka
    accepted(range(10, 20))
    up.ask("backup", str(tmp_path / "backup"))
    os.kill(pid, signal.SIGCONT)
    accepted(range(20, 30))
    until(lambda: counted(up) == (30, 30))
    if killed:
        os.kill(worker_of(up.folder), signal.SIGKILL)
        up.kill()
    else:
        up.end()
    assert up.ask("restore", str(tmp_path / "backup"), "--replace")["stream_again"]
    assert counted(up)[0] < 30
    up.start(*stream)
    until(lambda: counted(up) == (30, 30))
    assert not (up.folder / OFFSETS).exists()
    assert len(up.ask("history", "K-1")) >= 1
    (row,) = up.ask("audit")["trucks"]
    assert (row["received"], row["holes"]) == (30, [])
    assert "stream_taken_back" in up.end()
    assert up.ask("restore", str(tmp_path / "backup"), "--replace")["stream_again"]
    worker = start("collect", *stream[-2:], "--data-dir", up.folder)
    until(lambda: counted(up) == (30, 30))
    assert not (up.folder / OFFSETS).exists()
    worker.terminate()
    assert finish(worker, 90).code == 0


def test_a_backup_that_cannot_ask_kafka_says_so_and_makes_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here after a second, else after ten."""
    monkeypatch.setattr(kafka_offsets, "_ANSWER_SECONDS", 1.0)
    (tmp_path / "data").mkdir()
    note_used(tmp_path / "data", f"kafka://127.0.0.1:{free_port()}/gone")
    done = here.run("backup", tmp_path / "backup", "--data-dir", tmp_path / "data")
    assert done.code == 3
    assert "says where its workers stand" in done.err
    assert not (tmp_path / "backup").exists()


def instant() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def counted(up: Up) -> tuple[int, int]:
    """Clicks and samples in the store."""
    clicks = sum(row["count"] for row in up.ask("clicks"))
    return clicks, sum(row["received"] for row in up.ask("audit")["trucks"])


def worker_of(folder: Path) -> int:
    """The process id of the worker that `up` keeps."""
    listed = subprocess.run(
        ["pgrep", "-f", f"milepost collect .*{folder}"], capture_output=True, text=True, check=False
    )
    return int(listed.stdout.split()[0])


def test_up_balances_through_kafka_with_worker_and_broker_killed(tmp_path: Path, broker: LocalKafka) -> None:
    """Samples and clicks that were sent are in the store once, though worker and Kafka were killed on the way.

    /metrics tells what no worker has finished, of each topic, and that the worker was started again.
    """
    up = Up(tmp_path / "data", ["--trucks", "2", "--shoppers", "2", "--speedup", "60", "--minutes", "0.3"])
    url = kafka.url(broker.address)
    page = up.start("--stream", url)["http"] + "/metrics"
    log = up.folder / "collect.log"
    until(lambda: log.exists() and "partitions_taken" in log.read_text())
    os.kill(worker_of(up.folder), signal.SIGKILL)
    topics = [f"{url.rpartition('/')[2]}-{what}" for what in ("telemetry", "clicks")]
    wanted = {*(f'milepost_stream_lag_records{{topic="{topic}"}}' for topic in topics),
              "milepost_stream_worker_restarts_total 1.0"}  # fmt: skip
    deadline = time.monotonic() + 90
    while missing := [line for line in wanted if line not in httpx.get(page, timeout=60).text]:
        assert time.monotonic() < deadline, missing
        time.sleep(0.2)
    broker.kill()
    broker.start()
    code, summary = up.finish()
    assert code == 0, summary
    assert sum(row["stored"] for row in summary["trucks"]) > 20
    assert summary["clicks"]["counted"] > 5
    address = KafkaAddress.of(url, KafkaSettings())
    for channel, topic in zip(("telemetryStream", "clicksStream"), topics, strict=True):
        assert unlike_asyncapi(channel, [data for _, data in kafka.read(address, topic, 5)]) == []


def unlike_asyncapi(channel: str, records: list[bytes]) -> list[str]:
    """Faults of records by the schemas that the AsyncAPI document gives a topic's messages."""
    document = json.loads((REPOSITORY / "contract/schemas/asyncapi.json").read_text())
    messages = document["channels"][channel]["messages"]
    known = {"anyOf": [messages[name]["payload"] for name in ("rule", "posted") if name in messages]}
    assert records
    judge = jsonschema.Draft202012Validator(known)
    return [fault.message for record in records for fault in judge.iter_errors(json.loads(record))]
