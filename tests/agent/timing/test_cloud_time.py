"""Asking the cloud for the time: one answer to one ask, in time, and never again after a refusal."""

import json

import pytest

from agent.timing.cloud_time import ASK_AGAIN_SECONDS, ASK_SECONDS, CloudTime


class Wall:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wall() -> Wall:
    return Wall()


def answer(ask: bytes | None, ms: int = 1_780_300_800_000) -> bytes:
    assert ask is not None
    return json.dumps({"id": json.loads(ask)["id"], "ms": ms}).encode()


def test_half_the_round_trip_is_added_and_bounds_the_error(wall: Wall) -> None:
    cloud = CloudTime(wall)
    ask = cloud.ask()
    wall.now += 4
    found = cloud.answer(answer(ask), retained=False)
    assert found is not None
    assert (found.utc.timestamp(), found.error) == (1_780_300_802, 2)


def test_repeated_retained_late_and_foreign_answers_are_dropped(wall: Wall) -> None:
    cloud = CloudTime(wall)
    ask = answer(cloud.ask())
    assert cloud.answer(ask, retained=True) is None
    assert cloud.answer(b'{"id":"other","ms":1780300800000}', retained=False) is None
    assert cloud.answer(b"no json", retained=False) is None
    assert cloud.answer(ask, retained=False) is not None
    assert cloud.answer(ask, retained=False) is None
    wall.now += ASK_SECONDS
    late = answer(cloud.ask())
    wall.now += 10.1
    assert cloud.answer(late, retained=False) is None


def _believe(cloud: CloudTime, ms: int) -> None:
    found = cloud.answer(answer(cloud.ask(), ms), retained=False)
    assert found
    cloud.believed(found)


def _waits(cloud: CloudTime, wall: Wall) -> float:
    """Seconds until the next ask."""
    began = wall.now
    while cloud.ask() is None:
        wall.now += 1
    return wall.now - began


def test_it_asks_once_a_minute_and_hourly_once_two_were_believed_each_time_under_a_new_id(wall: Wall) -> None:
    cloud = CloudTime(wall)
    first = cloud.ask()
    assert cloud.ask() is None
    wall.now += ASK_SECONDS
    second = cloud.ask()
    assert second is not None
    assert second != first
    wall.now += ASK_SECONDS
    _believe(cloud, 1_780_300_800_000)
    wall.now += ASK_SECONDS
    _believe(cloud, 1_780_300_860_000)
    assert _waits(cloud, wall) == ASK_AGAIN_SECONDS


@pytest.mark.parametrize(("pace", "wait"), [(1.05, 105), (0.95, 95), (1.003, 1672), (1.0005, 3600), (2.0, 60)])
def test_a_truck_whose_time_runs_wrongly_asks_before_it_is_far_off(wall: Wall, pace: float, wait: float) -> None:
    cloud = CloudTime(wall)
    _believe(cloud, 1_780_300_800_000)
    wall.now += 120 * pace
    _believe(cloud, 1_780_300_920_000)
    assert _waits(cloud, wall) == pytest.approx(wait, rel=0.02)


def test_a_refusal_or_an_end_right_after_asking_ends_it(wall: Wall) -> None:
    cloud = CloudTime(wall)
    cloud.ask()
    wall.now += 4
    cloud.lost()
    wall.now += 10_000
    assert cloud.ask() is None
    other = CloudTime(wall)
    other.ask()
    wall.now += 6
    other.lost()
    wall.now += ASK_SECONDS
    assert other.ask() is not None
