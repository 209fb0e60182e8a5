"""Fleet mode keeps the agent's promises: a real broker, a real subscriber, real kills, real certificates."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.storm import fill
from contract import timestamps, topics
from contract.control_messages import Report, Status
from contract.records import read_sample
from contract.telemetry import LEAVES
from simulator import sent_ledger
from simulator.fleet import mqtt5
from simulator.fleet.ledger import FleetLedger
from simulator.trucks import truck_ids

COMMAND = [sys.executable, "-m", "simulator.cli", "trucks", "--mode", "fleet"]
COUNT = 40
CALM = {**os.environ, "MILEPOST_SIMULATOR__HARDSHIPS": "false"}
"""No truck loses its network, its power or its clock, after which its times would be out of order."""


def command(folder: Path, url: str, *more: str, count: int = COUNT) -> list[str]:
    return [*COMMAND, "--count", str(count), "--broker", url, "--data-dir", str(folder), "--speedup", "600", *more]


def balances(folder: Path, cloud: Any, count: int = COUNT) -> bool:
    sampled = sent_ledger.sampled(folder)
    return (
        len(sampled) == count
        and set(sampled) == set(cloud.seqs)
        and all(cloud.arrived(truck_id).pairs == ((1, number),) for truck_id, number in sampled.items())
    )


def test_a_planned_run_balances_and_says_what_the_contract_says(
    broker: Any, cloud: Any, tmp_path: Path, wait: Any
) -> None:
    told: dict[str, bytes] = {}
    listener = Client(CallbackAPIVersion.VERSION2, client_id="listener")
    listener.on_message = lambda _, __, message: told.update({message.topic: bytes(message.payload)})
    listener.connect("127.0.0.1", broker.port)
    listener.subscribe([("fleet/+/status", 1), ("fleet/+/report", 1)])
    listener.loop_start()
    done = subprocess.run(
        command(tmp_path, broker.url, "--minutes", "0.03", "--drain", "60", "--json"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=CALM,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["fleet"]["connected"] == COUNT
    assert document["fleet"]["pending"] == document["fleet"]["refused"] == 0
    wait(lambda: balances(tmp_path, cloud))
    taken = [row["sampled"] for row in document["trucks"]]
    assert (taken, document["fleet"]["sampled"]) == ([18] * COUNT, 18 * COUNT)  # 18 simulated minutes, however slow
    for truck_id in truck_ids(COUNT):
        at = [timestamps.to_ms(each["sampled_at"]) for each in cloud.samples if each["truck_id"] == truck_id]
        assert {later - earlier for earlier, later in pairwise(sorted(at))} == {60_000}
    assert set(sent_ledger.pending(tmp_path).values()) == {0}
    for sample in cloud.samples[:: len(cloud.samples) // 50]:
        read = read_sample(sample, received_ms=int(time.time() * 1000), date_by_arrival=False)
        assert read.unknown == ()
        assert {leaf.split(".")[0] for leaf in LEAVES} <= read.record.keys()
    wait(
        lambda: (
            len(told) == 2 * COUNT and Status.model_validate_json(told[topics.status("TRUCK-001")]).state == "offline"
        )
    )
    listener.loop_stop()
    for truck_id in truck_ids(COUNT):
        report = Report.model_validate_json(told[topics.report(truck_id)])
        assert (report.highest_seq, report.pending) == (sent_ledger.sampled(tmp_path)[truck_id], [])


def test_killed_and_started_again_it_goes_on_and_loses_nothing(
    broker: Any, cloud: Any, tmp_path: Path, wait: Any
) -> None:
    """SIGKILL twice: contiguous numbers in one stream a truck, whatever was sampled, sent or acknowledged."""
    for wanted in (5, 12):
        running = subprocess.Popen(command(tmp_path, broker.url), env=CALM)
        wait(lambda wanted=wanted: len(cloud.samples) > wanted * COUNT)
        running.kill()
        running.wait()
    running = subprocess.Popen(command(tmp_path, broker.url), env=CALM)
    wait(lambda: len(cloud.samples) > 20 * COUNT)
    running.send_signal(signal.SIGTERM)
    assert running.wait(60) == 0
    wait(lambda: balances(tmp_path, cloud))
    times = [
        sample["sampled_at"]
        for sample in sorted(cloud.samples, key=lambda s: s["seq"])
        if sample["truck_id"] == "TRUCK-001"
    ]
    assert times == sorted(times)


def test_a_broker_that_goes_away_costs_nothing(broker: Any, cloud: Any, tmp_path: Path, wait: Any) -> None:
    running = subprocess.Popen(command(tmp_path, broker.url, "--drain", "60"))
    wait(lambda: len(cloud.samples) > 5 * COUNT)
    broker.stop()
    wait(lambda: sent_ledger.progress(tmp_path)["online"] == 0, 60)
    broker.start()
    before = len(cloud.samples)
    wait(lambda: len(cloud.samples) > before + 5 * COUNT, 60)
    running.send_signal(signal.SIGTERM)
    assert running.wait(90) == 0
    wait(lambda: balances(tmp_path, cloud))


def hearing_reports(port: int, truck_id: str) -> tuple[Client, list[dict[str, Any]]]:
    """A client that runs until `loop_stop`, and the truck's reports as they come to it."""
    reports: list[dict[str, Any]] = []
    client = Client(CallbackAPIVersion.VERSION2, client_id="hearer")
    client.on_message = lambda _, __, message: reports.append(json.loads(message.payload))
    client.connect("127.0.0.1", port)
    client.subscribe(f"fleet/{truck_id}/report", 1)
    client.loop_start()
    return client, reports


def test_what_is_asked_for_is_sent_again_and_what_was_never_there_is_gone(
    broker: Any, cloud: Any, tmp_path: Path, wait: Any
) -> None:
    """An ask that comes while a truck has no network is lost, and the collector's to repeat: here it always has one."""
    asker, reports = hearing_reports(broker.port, "TRUCK-002")
    running = subprocess.Popen(command(tmp_path, broker.url, count=3), env=CALM)
    wait(lambda: len(cloud.samples) > 30)
    (stream_id,) = cloud.seqs["TRUCK-002"]
    ask = {"stream_id": stream_id, "ranges": [[2, 4], [1_000_000, 1_000_001]]}
    asker.publish(topics.resend("TRUCK-002"), json.dumps(ask), 1)
    asker.publish(topics.resend("TRUCK-002"), json.dumps({"stream_id": "before", "ranges": [[7, 9]]}), 1)
    wait(lambda: all(Counter(cloud.seqs["TRUCK-002"][stream_id])[seq] == 2 for seq in (2, 3, 4)))
    wait(lambda: any(report["stream_id"] == "before" and report["gone"] == [[7, 9]] for report in reports))
    wait(lambda: any(report["gone"] == [[1_000_000, 1_000_001]] for report in reports))
    running.send_signal(signal.SIGTERM)
    assert running.wait(60) == 0
    asker.loop_stop()


def test_a_report_follows_when_what_waited_is_sent(broker: Any, cloud: Any, tmp_path: Path, wait: Any) -> None:
    """What is told to wait is not asked for: a storm's samples that the broker drops must not wait for 15 minutes."""
    hearer, reports = hearing_reports(broker.port, "TRUCK-001")
    ledger = FleetLedger(tmp_path / sent_ledger.FLEET)
    fill(ledger, 1, 150)
    ledger.close()
    running = subprocess.Popen(command(tmp_path, broker.url, "--speedup", "1", count=1))
    wait(lambda: len(reports) >= 2)
    assert (reports[0]["pending"], reports[1]["pending"]) == ([[1, 150]], [])
    running.send_signal(signal.SIGTERM)
    assert running.wait(60) == 0
    hearer.loop_stop()


def identities(folder: Path, count: int) -> Path:
    """A CA, a server's certificate, and a truck's identity each, in bulk, as an operator makes them."""
    trucks = folder / "fleet.csv"
    trucks.write_text("truck_id\n" + "".join(f"{truck_id}\n" for truck_id in truck_ids(count)))
    provision = [sys.executable, "milepost.py", "provision"]
    at = ["--data-dir", str(folder / "office")]
    subprocess.run([*provision, "init", "--host", "127.0.0.1", *at], check=True, capture_output=True, timeout=60)
    subprocess.run(
        [*provision, "import", str(trucks), "--to", str(folder / "ids"), "--make-keys", *at],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    return folder / "ids"


def answers(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("mode", ["fleet", "full"])
def test_every_truck_proves_who_it_is(tmp_path: Path, free_port: int, mode: str, wait: Any) -> None:
    """Mutual TLS, a certificate each; the broker takes the user's name from it and lets nobody speak for another."""
    ids = identities(tmp_path, 4)
    office = tmp_path / "office"
    (server_key,) = office.rglob("server.key")
    (server,) = office.rglob("server.pem")
    (authority,) = office.rglob("ca.pem")
    acl = tmp_path / "acl"
    acl.write_text("pattern write fleet/%u/#\npattern read fleet/%u/#\n")
    config = tmp_path / "mosquitto.conf"
    log = tmp_path / "mosquitto.log"
    config.write_text(
        f"user root\nlistener {free_port} 127.0.0.1\ncafile {authority}\ncertfile {server}\nkeyfile {server_key}\n"
        f"require_certificate true\nuse_identity_as_username true\nacl_file {acl}\nlog_dest file {log}\n"
    )
    with subprocess.Popen(["/usr/sbin/mosquitto", "-c", str(config)], stderr=subprocess.DEVNULL) as running:
        try:
            wait(lambda: answers(free_port))
            done = subprocess.run(
                [*COMMAND[:-1], mode, "--count", "4", "--broker", f"mqtts://127.0.0.1:{free_port}",
                 "--identities", str(ids), "--data-dir", str(tmp_path / "data"),
                 "--speedup", "600", "--minutes", "0.1" if mode == "full" else "0.03", "--json"],
                capture_output=True, text=True, timeout=90, check=False,
            )  # fmt: skip
        finally:
            running.terminate()
    assert done.returncode == 0, done.stderr
    assert sum(row["sampled"] for row in json.loads(done.stdout)["trucks"]) > 0, done.stderr
    assert set(sent_ledger.pending(tmp_path / "data").values()) == {0}
    assert all(f"u'{truck_id}'" in log.read_text() for truck_id in truck_ids(4))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--broker", "mqtts://127.0.0.1:1"], "--identities"),
        (["--broker", "http://x"], "--broker"),
        (["--broker", "mqtts://127.0.0.1:1", "--identities", "nowhere", "--minutes", "0.1"], "provision import"),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, more: list[str], said: str) -> None:
    done = subprocess.run(
        [sys.executable, "milepost.py", "simulate", *COMMAND[3:], "--count", "1", "--data-dir", str(tmp_path), *more],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.parametrize("cut", range(1, 12))
def test_packets_come_whole_however_they_are_cut(cut: int) -> None:
    """A socket gives bytes, not packets."""
    wire = (
        mqtt5.publish("fleet/T/resend", b"x" * 300, 7)
        + mqtt5.puback(9)
        + bytes((0xD0, 0))
        + bytes((0x20, 3, 0, 135, 0))
    )
    received = bytearray()
    found: list[mqtt5.Packet] = []
    for at in range(0, len(wire), cut):
        received += wire[at : at + cut]
        found += mqtt5.packets(received)
    assert [(packet.kind, packet.number, packet.code) for packet in found] == [
        (3, 7, 0),
        (4, 9, 0),
        (13, 0, 0),
        (2, 0, 135),
    ]
    assert (found[0].topic, found[0].payload) == ("fleet/T/resend", b"x" * 300)
