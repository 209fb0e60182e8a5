"""Gap repair in the cloud, whole: a real agent, the deployed stack, a hole made on the way, the request, the heal."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from deploy.iot_bridge import Carrier
from deploy.ministack import Ministack, deploy, environment
from milepost import app as cli
from standalone.child_processes import Child, Children
from standalone.mosquitto_supervisor import MosquittoSupervisor
from tests.local_aws import ministack
from tests.waiting import until

pytestmark = pytest.mark.skipif(not Path("/usr/sbin/mosquitto").exists(), reason="mosquitto is not installed")
PARAMETERS = {"BatchingWindow": "0", "ResendAfter": "1", "RepairEvery": "rate(1 minute)"}
SETTINGS = """
[agent]
truck_id = "T1"
broker = "{broker}"
buffer = "{folder}/buffer.db"
interval = 0.5
[[agent.sensors]]
type = "simulated"
"""


class Fleet:
    """One truck's agent, what stands for IoT Core, and the stack."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self.cloud = stack.enter_context(Ministack(folder / "ministack", settings={"AUTH": "true"}))
        deploy(self.cloud, PARAMETERS)
        self._children = Children(folder)
        stack.callback(self._children.stop, 3.0)
        self.broker = MosquittoSupervisor(folder / "broker", children=self._children)
        self.broker.start()

    @contextmanager
    def carried(self) -> Iterator[None]:
        """Meanwhile messages reach the stream; else the broker acknowledges them, and nobody gets them."""
        carrier = Carrier(self.broker.url, self.cloud)
        carrier.start()
        try:
            yield
        finally:
            carrier.stop()

    def start_truck(self) -> Child:
        settings = self._folder / "milepost.toml"
        settings.write_text(SETTINGS.format(broker=self.broker.url, folder=self._folder))
        argv = [sys.executable, "-m", "milepost", "agent", "run", "--config", str(settings)]
        return self._children.spawn(argv, name="truck", log=self._folder / "truck.log")

    def row(self) -> dict[str, Any]:
        """The truck's row of `milepost audit`; empty before there is one."""
        found = json.loads(CliRunner().invoke(cli, ["audit", "T1", "--json"]).stdout)["trucks"]
        return dict(found[0]) if found else {}

    def repair(self) -> dict[str, int]:
        """The scheduled function, now."""
        answer = self.cloud.client("lambda").invoke(FunctionName="milepost-repair", Payload=b"{}")
        return dict(json.loads(answer["Payload"].read()))


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    ministack()  # skips where there is none
    with ExitStack() as stack:
        made = Fleet(tmp_path, stack)
        monkeypatch.delenv("AWS_PROFILE", raising=False)
        for name, value in environment(made.cloud.url).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("MILEPOST_STORE", "dynamodb://milepost")
        yield made


def make_a_hole(fleet: Fleet) -> int:
    """Samples 1…n arrive, some get a PUBACK and are lost, more arrive. How many are missing."""
    fleet.start_truck()
    with fleet.carried():
        until(lambda: fleet.row().get("received", 0) >= 3)
    time.sleep(3)
    with fleet.carried():
        holes = until(lambda: fleet.row()["holes"])
    return sum(end - first + 1 for first, end in holes)


def test_what_was_acknowledged_and_lost_is_asked_for_and_heals(fleet: Fleet) -> None:
    """The function asks by IoT's data plane, the truck sends it again, and history is whole."""
    assert make_a_hole(fleet) >= 3
    with fleet.carried():
        until(lambda: fleet.repair()["asked"])
        row = until(lambda: (found := fleet.row())["holes"] == [] and found)
    assert (row["received"], row["conflicts"]) == (row["highest_seq"], [])


@pytest.mark.prove
def test_the_schedule_asks_without_anybody_doing_anything(fleet: Fleet) -> None:
    """As deployed: rate(1 minute)."""
    assert make_a_hole(fleet) >= 3
    with fleet.carried():
        until(lambda: fleet.row()["holes"] == [], seconds=130)
