"""`milepost up --aws`: the deployed stack on this machine, for a trial; the same commands, trucks and shoppers.

A ministack with the template deployed stands for AWS, a mosquitto and the carrier for IoT Core's MQTT and rules.
Everything begins anew: what lies in DIR/aws is of this run only, and gone from memory when it ends. While it runs,
`. DIR/aws/environment` lets any other shell use `milepost history`, `audit`, `clicks` … on it.
"""

import json
import logging
import os
import shutil
import signal
import threading
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any

from box.broker import Broker
from box.children import Children, lock, reap
from contract.errors import Misconfigured
from deploy.carrier import Carrier
from deploy.local import Ministack, deploy, environment, function_url

log = logging.getLogger(__name__)

READY = "up.json"
STORE = "dynamodb://milepost"
_PARAMETERS = {"BatchingWindow": "0", "ResendAfter": "10", "RepairEvery": "rate(1 minute)"}


class Trial:
    """Use as a context: inside it all runs. As box.Box to whoever runs trucks and shoppers beside it."""

    def __init__(self, data_dir: Path, *, track: str | dict[str, Any] | None = None) -> None:
        self.folder = data_dir / "aws"
        self._data_dir = data_dir
        self._track = track if isinstance(track, str | None) else json.dumps(track)
        self._stack = ExitStack()
        self._stop = threading.Event()

    def __enter__(self) -> "Trial":
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
        if self.folder.exists():
            for name in reap(self.folder):
                log.warning("orphan_ended name=%s", name)
            shutil.rmtree(self.folder)
        self.folder.mkdir()
        self.children = Children(self.folder)
        stack.callback(self.children.stop, 3.0)
        cloud = self._start_ministack()
        parameters = {**_PARAMETERS, **({"Track": self._track} if self._track else {})}
        outputs = deploy(cloud, parameters)
        self._point_here(cloud)
        self.broker = Broker(self.folder / "broker", children=self.children)
        self.broker.start()
        stack.callback(self.broker.stop, 3.0)
        self.mqtt_url = self.broker.url
        self.web = SimpleNamespace(url=function_url(cloud, outputs["BeaconUrl"]))
        carrier = Carrier(self.broker.url, cloud)
        stack.callback(carrier.stop)
        carrier.start()
        self._supervise(stack)
        self._announce(ready, cloud)
        stack.callback(ready.unlink, missing_ok=True)

    def _start_ministack(self) -> Ministack:
        """As a child that dies with this process, whatever kills it."""
        cloud = Ministack(self.folder / "ministack")
        cloud.folder.mkdir()
        given = [f"{name}={value}" for name, value in cloud.environ().items()]
        self.children.spawn(
            ["env", "-i", *given, *cloud.argv()],
            name="ministack", log=self.folder / "ministack.log", death_signal=signal.SIGKILL,
        )  # fmt: skip
        cloud.wait_until_ready()
        return cloud

    def _point_here(self, cloud: Ministack) -> None:
        """This process's queries, and those of whoever reads the file, go to the trial's AWS."""
        values = {**environment(cloud.url), "MILEPOST_STORE": STORE}
        os.environ.update({name: value for name, value in values.items() if name.startswith("AWS_")})
        lines = [f"export {name}={value}\n" for name, value in values.items()]
        (self.folder / "environment").write_text("".join(lines), encoding="utf-8")

    def _supervise(self, stack: ExitStack) -> None:
        watcher = threading.Thread(target=self.broker.supervise, args=(self._stop,), name="broker", daemon=True)
        watcher.start()
        stack.callback(watcher.join, 5)
        stack.callback(self._stop.set)

    def _announce(self, ready: Path, cloud: Ministack) -> None:
        said = {
            "pid": os.getpid(),
            "http": self.web.url,
            "mqtt": self.mqtt_url,
            "broker_pid": self.broker.pid,
            "aws": cloud.url,
        }
        draft = ready.with_suffix(".json.tmp")
        draft.write_text(json.dumps(said) + "\n", encoding="utf-8")
        draft.replace(ready)


def refuse_broker(broker: str | None) -> None:
    """`--aws` has its own. Raises Misconfigured."""
    if broker is not None:
        raise Misconfigured("--aws starts its own broker, as it stands for AWS IoT Core: leave --broker out")
