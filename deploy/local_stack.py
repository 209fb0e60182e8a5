"""`milepost up --aws`: the deployed stack on this machine, for a trial; the same commands, trucks and shoppers.

A ministack with the template deployed stands for AWS, a mosquitto and the carrier for IoT Core's MQTT and rules. All of
it lies in DIR/aws. What ministack holds is written there when it ends, also where this process is killed, and is there
again at the next start; where ministack itself was killed that is lost, and all of DIR/aws begins anew. While it runs,
DIR/up.json names its store, so `milepost history`, `audit`, `clicks` … with the same DIR read that.
"""

import json
import logging
import os
import shutil
import threading
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from collector.settings import speak_to
from contract import atomic_file
from contract.errors import Misconfigured
from deploy.http_proxy import forward
from deploy.iot_bridge import Carrier
from deploy.ministack import Ministack, deploy, environment, function_url
from standalone.child_processes import Children, lock, reap
from standalone.http_server import HttpServer
from standalone.mosquitto_supervisor import MosquittoSupervisor

log = logging.getLogger(__name__)

READY = "up.json"
STORE = "dynamodb://milepost"
_PARAMETERS = {"BatchingWindow": "0", "ResendAfter": "10", "RepairEvery": "rate(1 minute)"}


class LocalStack:
    """Use as a context: inside it all runs. As box.Box to whoever runs trucks and shoppers beside it."""

    def __init__(self, data_dir: Path, *, port: int, track: str | dict[str, Any] | None = None) -> None:
        self.folder = data_dir / "aws"
        self._data_dir = data_dir
        self._port = port
        self._track = track if isinstance(track, str | None) else json.dumps(track)
        self._stack = ExitStack()
        self._stop = threading.Event()

    def __enter__(self) -> "LocalStack":
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def _start(self, stack: ExitStack) -> None:
        self._data_dir.mkdir(parents=True, exist_ok=True)
        stack.enter_context(lock(self._data_dir))
        ready = self._data_dir / READY
        ready.unlink(missing_ok=True)
        self._clear()
        self.children = Children(self.folder)
        cloud = stack.enter_context(Ministack(self.folder / "ministack", keep=True))
        stack.callback(self.children.stop, 3.0)
        outputs = deploy(cloud, {**_PARAMETERS, **({"Track": self._track} if self._track else {})})
        self._aws = environment(cloud.url)
        speak_to(self._aws)
        self.web = HttpServer(forward(function_url(cloud, outputs["BeaconUrl"])), self._port)
        stack.callback(self.web.stop)
        self.broker = MosquittoSupervisor(self.folder / "broker", children=self.children)
        self.broker.start()
        stack.callback(self.broker.stop, 3.0)
        self.mqtt_url = self.broker.url
        carrier = Carrier(self.broker.url, cloud)
        stack.callback(carrier.stop)
        carrier.start()
        self.web.start()
        self._announce(ready)
        stack.callback(ready.unlink, missing_ok=True)
        watcher = threading.Thread(target=self._supervise, args=(ready,), name="broker", daemon=True)
        watcher.start()
        stack.callback(watcher.join, 5)
        stack.callback(self._stop.set)

    def _clear(self) -> None:
        """End what a killed run left; and where ministack lost what it held, forget what belonged to that."""
        for name in reap(self.folder):
            log.warning("orphan_ended name=%s", name)
        if not Ministack(self.folder / "ministack").kept:
            if (self.folder / "trucks").exists():
                log.warning(
                    "aws_begins_anew folder=%s reason=ministack was killed, and it keeps no journal", self.folder
                )
            shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(exist_ok=True)

    def _supervise(self, ready: Path) -> None:
        """Keep the broker alive, and up.json true about it."""
        known = self.broker.pid
        watcher = threading.Thread(target=self.broker.supervise, args=(self._stop,), daemon=True)
        watcher.start()
        while not self._stop.wait(0.2):
            if (pid := self.broker.pid) and pid != known:
                known = pid
                self._announce(ready)
        watcher.join(5)

    def _announce(self, ready: Path) -> None:
        said = {
            "pid": os.getpid(),
            "http": self.web.url,
            "mqtt": self.mqtt_url,
            "broker_pid": self.broker.pid,
            "store": STORE,
            "aws": self._aws,
        }
        exports = "".join(f"export {name}={value}\n" for name, value in self._aws.items())
        (self.folder / "environment").write_text(exports, encoding="utf-8")  # for the AWS CLI
        atomic_file.write(ready, json.dumps(said) + "\n", durable=False)


def refuse_others(broker: str | None, stream: str | None, *, dashboard: bool) -> None:
    """`--aws` has its own broker and streams.

    Args:
        broker: of `--broker`, None where it was left out.
        stream: of `--stream`, None where it was left out.
        dashboard: `--dashboard` was given.

    Raises:
        Misconfigured: one of them is given.
    """
    if broker is not None:
        raise Misconfigured("--aws starts its own broker, as it stands for AWS IoT Core: leave --broker out")
    if stream is not None:
        raise Misconfigured("--aws has Kinesis between doors and collector: leave --stream out")
    if dashboard:
        raise Misconfigured("--aws keeps its marts in Athena, which runs nowhere here: leave --dashboard out")
