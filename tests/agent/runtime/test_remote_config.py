"""Remote configuration: tried, proved, kept; or rolled back, whatever happens in between."""

import json
from pathlib import Path

import pytest

from agent.json_state_file import JsonStateFile
from agent.runtime.remote_config import ATTEMPTS, Remote
from agent.settings import AgentSettings

OWN = AgentSettings(truck_id="T1", interval=60)


class Truck:
    """Remote configuration on a file, with a clock to turn; `start` again is what a kill leads to."""

    def __init__(self, folder: Path) -> None:
        self.now, self.file = 0.0, JsonStateFile(folder / "config")
        self.remote = self.start()

    def start(self) -> Remote:
        """A process begins."""
        self.remote = Remote(OWN, self.file, lambda: self.now)
        return self.remote

    def offer(self, **document: object) -> bool:
        """What the retained topic holds."""
        return self.remote.offer(json.dumps(document).encode())

    def prove(self) -> bool:
        """A sample under it, then a PUBACK."""
        self.remote.ran(10)
        return self.remote.acknowledged(11)

    def pass_time(self, seconds: float, *, connected: bool) -> bool:
        """The agent's turns meanwhile."""
        self.now += seconds
        return self.remote.tick(connected=connected)


@pytest.fixture
def truck(tmp_path: Path) -> Truck:
    """A truck with its own file's settings."""
    return Truck(tmp_path)


def test_it_counts_only_after_a_sample_under_it_and_a_puback_after_that(truck: Truck) -> None:
    assert truck.offer(config_version=7, interval=30, lanes={"batch_records": 5})
    assert (truck.remote.settings.interval, truck.remote.settings.lanes.batch_records) == (30, 5)
    assert truck.remote.settings.lanes.batch_bytes == OWN.lanes.batch_bytes
    assert not truck.remote.acknowledged(5)
    truck.remote.ran(10)
    assert not truck.remote.acknowledged(10)
    assert truck.remote.version is None
    assert truck.remote.acknowledged(11)
    assert (truck.remote.version, truck.remote.problem) == (7, None)
    assert truck.start().settings.interval == 30
    assert truck.remote.version == 7


def test_without_a_puback_it_is_rolled_back_and_the_time_runs_only_while_connected(truck: Truck) -> None:
    truck.offer(config_version=1, interval=10)
    truck.prove()
    truck.offer(config_version=2, interval=20)
    truck.remote.ran(10)
    assert not truck.pass_time(100_000, connected=False)
    assert not truck.pass_time(100, connected=True)
    assert truck.pass_time(100, connected=True)
    assert (truck.remote.settings.interval, truck.remote.version) == (10, 1)
    assert "config_version 2 was rolled back: no PUBACK came" in str(truck.remote.problem)


def test_a_crash_before_the_proof_rolls_back(truck: Truck) -> None:
    truck.offer(config_version=1, interval=10)
    truck.prove()
    truck.offer(config_version=2, interval=20)
    truck.start()
    assert (truck.remote.settings.interval, truck.remote.version) == (10, 1)
    assert "the agent ended" in str(truck.remote.problem)


def test_a_document_that_kills_the_agent_is_tried_three_times_and_then_no_more(truck: Truck) -> None:
    """The broker offers it at every connect; a changed one is tried again."""
    for _ in range(ATTEMPTS):
        assert truck.offer(config_version=3, interval=20)
        truck.start()
    assert not truck.offer(config_version=3, interval=20)
    assert "not proved in 3 attempts" in str(truck.remote.problem)
    truck.start()
    assert not truck.offer(config_version=3, interval=20)
    assert truck.offer(config_version=4, interval=20)


def test_a_clean_stop_is_no_failed_attempt(truck: Truck) -> None:
    for _ in range(ATTEMPTS + 2):
        assert truck.offer(config_version=3, interval=20)
        truck.remote.close()
        truck.start()
        assert truck.remote.problem is None
        assert truck.remote.settings == OWN


@pytest.mark.parametrize(
    ("payload", "named"),
    [
        (b"not json", "not JSON"),
        (b"\xff", "UTF-8"),
        (b"[]", "JSON object"),
        (b'{"interval":30}', "config_version"),
        (b'{"config_version":1,"intervall":30}', "intervall"),
        (b'{"config_version":1,"interval":0.1}', "interval"),
        (b'{"config_version":1,"interval":"30"}', "interval"),
        (b'{"config_version":1,"interval":null}', "interval"),
        (b'{"config_version":1,"lanes":{"batch_bytes":200000}}', "lanes.batch_bytes"),
        (b'{"config_version":1,"lanes":{"batch_bytes":null}}', "batch_bytes"),
        (b'{"config_version":1,"broker":"mqtt://elsewhere"}', "broker"),
        (b'{"config_version":true}', "config_version"),
        (b'{"config_version":1,"interval":NaN}', "interval"),
    ],
)
def test_a_bad_document_is_refused_with_the_reason_and_changes_nothing(
    truck: Truck, payload: bytes, named: str
) -> None:
    truck.offer(config_version=1, interval=10)
    truck.prove()
    assert not truck.remote.offer(payload)
    assert named in str(truck.remote.problem)
    assert (truck.remote.settings.interval, truck.remote.version) == (10, 1)
    assert not truck.offer(config_version=1, interval=10)
    assert truck.remote.problem is None


@pytest.mark.parametrize(
    ("payload", "remedy"),
    [
        (b'{"config_version": 1, "intervall": 3}', "known are config_version, daily_budget, interval"),
        (b'{"config_version": 1, "lanes": {"speed": 3}}', "known are batch_bytes, batch_records"),
        (b"[1]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'{"interval": 3}', "give each document one of its own"),
    ],
)
def test_the_reason_says_what_would_be_right(truck: Truck, payload: bytes, remedy: str) -> None:
    truck.remote.offer(payload)
    assert remedy in str(truck.remote.problem)


def test_a_refused_document_that_comes_back_says_its_reason_again(truck: Truck) -> None:
    """The status tells of the document that the topic holds now, whatever was there in between."""
    truck.offer(config_version=7, interval=30)
    truck.prove()
    truck.offer(config_version=8, speed=1)
    reason = truck.remote.problem
    assert reason
    truck.offer(config_version=7, interval=30)
    assert truck.remote.problem is None
    truck.offer(config_version=8, speed=1)
    assert truck.remote.problem == reason
    assert truck.start().problem == reason


def test_the_proof_of_one_document_does_not_hide_why_the_next_was_refused(truck: Truck) -> None:
    truck.offer(config_version=7, interval=30)
    truck.offer(config_version=8, speed=1)
    assert truck.prove()
    assert truck.remote.version == 7
    assert "speed" in str(truck.remote.problem)


def test_an_empty_document_gives_the_truck_back_to_its_own_file(truck: Truck) -> None:
    truck.offer(config_version=1, interval=10, daily_budget=None)
    truck.prove()
    assert truck.remote.offer(b"")
    assert (truck.remote.settings, truck.remote.version) == (OWN, None)
    assert truck.start().settings == OWN


def test_a_file_that_makes_no_sense_is_as_none(truck: Truck, tmp_path: Path) -> None:
    for garbage in ("", "[1]", '{"good": 5, "what": 6}', "{"):
        (tmp_path / "config").write_text(garbage)
        assert truck.start().settings == OWN


def test_without_a_disk_it_is_not_tried(tmp_path: Path) -> None:
    """What could not be rolled back after a crash is not begun."""
    truck = Truck(tmp_path / "not-there")
    assert not truck.offer(config_version=1, interval=10)
    assert truck.remote.settings == OWN
    assert "cannot be kept" in str(truck.remote.problem)
