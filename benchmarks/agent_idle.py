"""What the agent costs while it has little to do: memory, CPU and start-up, for both transports.

    python -m benchmarks.agent_idle [--seconds 60] [--json]

Against a bare Python with the same MQTT library in the same run: connected to the same mosquitto, publishing 400 bytes
once a minute, and nothing else. The agent replays a CAN recording, samples once a minute and stores durably. All four
processes run side by side for the same seconds; CPU is what the kernel counted in nanoseconds for all their threads.
Start-up is until the service says READY=1 on its notify socket; for the bare one, until its library is imported and
connected. Both find their modules compiled, as pip leaves them. Aims: memory ≤ 1.6 × paho's and ≤ 1.8 × aws's, CPU and
start ≤ 2 ×.
"""

import argparse
import ctypes
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.agent.live import Broker

TRUCK = "BENCH"
INTERVAL = 60.0
MEMORY_AIM, OTHER_AIM = {"paho": 1.6, "aws": 1.8}, 2.0
NOTIFY = (
    "import os,socket; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'READY=1', os.environ['NOTIFY_SOCKET'])"
)
BARE_PAHO = """
import sys, threading, time
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
connected = threading.Event()
client = Client(CallbackAPIVersion.VERSION2, client_id="bare-paho", protocol=MQTTProtocolVersion.MQTTv5)
client.on_connect = lambda *_: connected.set()
client.connect("127.0.0.1", int(sys.argv[1]))
client.loop_start()
connected.wait()
NOTIFY
while True:
    client.publish("fleet/BARE/telemetry", b"x" * 400, qos=1)
    time.sleep(60)
"""
BARE_AWS = """
import sys, threading, time
from awscrt import io, mqtt5
connected = threading.Event()
group = io.EventLoopGroup(1)
bootstrap = io.ClientBootstrap(group, io.DefaultHostResolver(group))
client = mqtt5.Client(mqtt5.ClientOptions(
    host_name="127.0.0.1", port=int(sys.argv[1]), bootstrap=bootstrap,
    connect_options=mqtt5.ConnectPacket(client_id="bare-aws", keep_alive_interval_sec=60),
    on_lifecycle_event_connection_success_fn=lambda _: connected.set()))
client.start()
connected.wait()
NOTIFY
while True:
    client.publish(mqtt5.PublishPacket(topic="fleet/BARE/telemetry", payload=b"x" * 400, qos=mqtt5.QoS.AT_LEAST_ONCE))
    time.sleep(60)
"""


@dataclass
class Figures:
    """One process: start-up in ms, resident memory and what of it is its own in MB, CPU in ms a minute."""

    start_ms: float
    resident_mb: float
    own_mb: float
    cpu_ms_per_minute: float


_prctl = ctypes.CDLL(None).prctl


def _end_with_us() -> None:
    """Between fork and exec; contract.leashed_process would add its own start to what is measured."""
    _prctl(1, signal.SIGKILL, 0, 0, 0)


class Program:
    """A process that says when it is ready."""

    def __init__(self, folder: Path, name: str, command: list[str]) -> None:
        address = str(folder / f"{name}.notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
            heard.bind(address)
            heard.settimeout(30)
            began = time.perf_counter()
            with (folder / f"{name}.log").open("wb") as log:
                environment = {**os.environ, "NOTIFY_SOCKET": address, "PYTHONDONTWRITEBYTECODE": ""}
                self.process = subprocess.Popen(
                    command, env=environment, stdout=log, stderr=log, preexec_fn=_end_with_us
                )
            while not heard.recv(4096).startswith(b"READY=1"):
                pass
            self.start_ms = (time.perf_counter() - began) * 1000

    def cpu_ns(self) -> int:
        """Of all threads, so far."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks)

    def memory_mb(self) -> tuple[float, float]:
        """Resident, and anonymous of it."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        kilobytes = {
            line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith(("VmRSS", "RssAnon"))
        }
        return kilobytes["VmRSS"] / 1024, kilobytes["RssAnon"] / 1024

    def end(self) -> None:
        """SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)


def main() -> int:
    """Measure and print a table, or JSON; 1 if an aim is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    kinds = ["paho", *(["aws"] if importlib.util.find_spec("awscrt") else [])]
    with tempfile.TemporaryDirectory(prefix="idle-") as name:
        figures = _measure(Path(name), kinds, options.seconds)
    if options.json:
        print(json.dumps({name: vars(one) for name, one in figures.items()}))
        return 0
    met = True
    print(f"idle for {options.seconds:g} s, one sample or message a minute, mosquitto on loopback")
    print(f"{'':12}{'start ms':>10}{'memory MB':>11}{'own MB':>8}{'CPU ms/min':>12}")
    for label, one in figures.items():
        print(f"{label:12}{one.start_ms:10.0f}{one.resident_mb:11.1f}{one.own_mb:8.1f}{one.cpu_ms_per_minute:12.1f}")
    for kind in kinds:
        agent, bare = figures[f"agent {kind}"], figures[f"bare {kind}"]
        memory, start = agent.resident_mb / bare.resident_mb, agent.start_ms / bare.start_ms
        cpu = agent.cpu_ms_per_minute / bare.cpu_ms_per_minute
        met &= memory <= MEMORY_AIM[kind] and max(start, cpu) <= OTHER_AIM
        print(
            f"{kind}: memory {memory:.2f} × (aim ≤ {MEMORY_AIM[kind]}), start {start:.2f} × and CPU {cpu:.2f} ×"
            f" (aims ≤ {OTHER_AIM:g})"
        )
    return 0 if met else 1


def _measure(folder: Path, kinds: list[str], seconds: float) -> dict[str, Figures]:
    broker = Broker(folder, "log_type error\n")
    broker.start()
    port = broker.port
    programs: dict[str, Program] = {}
    try:
        for kind in kinds:
            bare = {"paho": BARE_PAHO, "aws": BARE_AWS}[kind].replace("NOTIFY", NOTIFY)
            for warm in (True, False):  # the first start pays for cold caches
                for label, command in (
                    (f"bare {kind}", [sys.executable, "-c", bare, str(port)]),
                    (f"agent {kind}", [sys.executable, "-m", "agent", "--config", str(_settings(folder, kind, port))]),
                ):
                    programs[label] = Program(folder, f"{label}-{warm}".replace(" ", "-"), command)
                    if warm:
                        programs.pop(label).end()
        time.sleep(3)
        before = {label: program.cpu_ns() for label, program in programs.items()}
        began = time.monotonic()
        time.sleep(seconds)
        minutes = (time.monotonic() - began) / 60
        return {
            label: Figures(program.start_ms, *program.memory_mb(), (program.cpu_ns() - before[label]) / 1e6 / minutes)
            for label, program in programs.items()
        }
    finally:
        for program in programs.values():
            program.end()
        broker.kill()


def _settings(folder: Path, kind: str, port: int) -> Path:
    capture = folder / "engine.log"
    frames = (f"({1_700_000_000 + n / 10:.6f}) can0 0CF00400#FFFFFF5014FFFFFF\n" for n in range(600))
    capture.write_text("".join(frames))
    path = folder / f"{kind}.toml"
    path.write_text(
        f'[agent]\ntruck_id = "{TRUCK}-{kind}"\nbroker = "mqtt://127.0.0.1:{port}"\nbuffer = "{folder}/{kind}.db"\n'
        f'interval = {INTERVAL}\ntransport = "{kind}"\n[[agent.sensors]]\ntype = "replay"\npath = "{capture}"\n'
    )
    return path


if __name__ == "__main__":
    sys.exit(main())
