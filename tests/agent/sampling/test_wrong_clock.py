"""A truck without GPS and NTP whose clock is wrong: the cloud's word dates every sample, also those taken before it."""

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.timing.cloud_time import CloudInstant
from tests.agent.fakes import TruckClock
from tests.agent.sampling.test_recorder import Drive

TRUTH = datetime(2026, 6, 1, 8, tzinfo=UTC)
CLOCKS = {
    "1970": datetime(1970, 1, 1, tzinfo=UTC) - TRUTH,
    "three days behind": timedelta(days=-3),
    "two hours ahead": timedelta(hours=2),
    "400 days ahead": timedelta(days=400),
    "2099": datetime(2099, 1, 1, tzinfo=UTC) - TRUTH,
}


def drive_with(error: timedelta) -> Drive:
    clock = TruckClock(TRUTH)
    clock.error = error
    drive = Drive(Path(tempfile.mkdtemp()), clock)
    drive.connected = True
    return drive


@pytest.mark.parametrize("error", CLOCKS.values(), ids=CLOCKS)
def test_the_clouds_time_dates_every_sample_before_and_after(error: timedelta) -> None:
    drive = drive_with(error)
    drive.drive(5)
    assert drive.recorder.wants_cloud_time
    assert drive.recorder.witness_cloud(CloudInstant(drive.clock.truth, 0.2))
    drive.drive(5)
    assert drive.right(*range(1, 11))
    assert {quality for _, quality in drive.samples().values()} == {"cloud"}


def test_a_clock_set_right_after_ten_samples_is_followed_where_nobody_vouches() -> None:
    """The first ten were sent as estimated after the patience; what comes after the setting is right."""
    drive = drive_with(timedelta(hours=2))
    drive.recorder = type(drive.recorder)(drive, drive.clock, drive.buffer, patience=0)
    drive.drive(10)
    drive.clock.error = timedelta()
    drive.drive(5)
    assert drive.right(*range(11, 16))


def test_a_clock_set_right_corrects_what_still_waits() -> None:
    drive = drive_with(timedelta(hours=-2))
    drive.connected = False
    drive.drive(10)
    drive.clock.error = timedelta()
    drive.drive(1)
    drive.connected = True
    drive.drive(15)
    assert drive.right(*range(1, 20))


def test_satellites_and_ntp_come_before_the_cloud() -> None:
    drive = drive_with(timedelta())
    drive.fix = True
    drive.drive(2)
    assert not drive.recorder.wants_cloud_time
    assert not drive.recorder.witness_cloud(CloudInstant(drive.clock.truth + timedelta(hours=1), 0.1))
    drive.drive(2)
    assert drive.right(1, 2, 3, 4)


@pytest.mark.parametrize("error", [CLOCKS["1970"], CLOCKS["2099"]])
def test_the_cloud_is_asked_where_the_kernel_vouches_for_a_time_that_cannot_be(error: timedelta) -> None:
    drive = drive_with(error)
    drive.clock.synchronised = True
    drive.drive(5)
    assert drive.recorder.wants_cloud_time
    assert drive.recorder.witness_cloud(CloudInstant(drive.clock.truth, 0.2))
    assert drive.recorder.time == drive.clock.truth
    drive.drive(5)
    assert drive.right(*range(1, 11))
