"""What a truck does in the ordinary case it does without pydantic, which is 9 MB and half of the start."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.live import Broker, Listener
from tests.agent.process import Process
from tests.agent.trucks import TRUCK
from tests.waiting import until


@pytest.fixture
def truck(tmp_path: Path, broker: Broker) -> Iterator[Process]:
    """An agent's own process."""
    one = Process(tmp_path / "truck", broker.url, interval=1)
    one.start()
    yield one
    one.kill()


def _uses_pydantic(truck: Process) -> bool:
    assert truck.process
    return "pydantic" in Path(f"/proc/{truck.process.pid}/maps").read_text()


def test_it_samples_is_asked_again_and_takes_settings_from_the_cloud_without_pydantic(
    truck: Process, listener: Listener
) -> None:
    until(lambda: listener.of("telemetry"))
    stream_id = listener.of("report")[0]["stream_id"]
    listener.publish(f"fleet/{TRUCK}/resend", {"stream_id": stream_id, "ranges": [[1, 1]]})
    listener.publish(f"fleet/{TRUCK}/config", {"config_version": 7, "report_interval": 60}, retain=True)
    until(lambda: listener.of("status")[-1]["config_version"] == 7)
    assert not _uses_pydantic(truck)
    listener.publish(f"fleet/{TRUCK}/config", {"config_version": 8, "report_interval": 1}, retain=True)
    until(lambda: "report_interval: must be greater" in (listener.of("status")[-1]["config_problem"] or ""))
    assert _uses_pydantic(truck)  # which shows that the look into its memory would have found it
