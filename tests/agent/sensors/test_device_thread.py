"""A device is opened again and again, whatever it raises, and its outages are told once."""

import logging
import threading

import pytest

from agent.sensors.device_thread import Link
from agent.transport.backoff import Backoff
from tests.waiting import until

QUICK = 0.001


def link(serve) -> Link:
    one = Link("a device", serve, backoff=Backoff(QUICK, QUICK))
    one.start()
    return one


def test_a_device_that_cannot_be_opened_is_tried_again() -> None:
    def serve(one: Link) -> None:
        raise OSError("no such device")

    one = link(serve)
    until(lambda: one.failures > 5)
    assert one.failing
    one.close()


def test_a_device_that_comes_back_is_not_failing() -> None:
    tries = []

    def serve(one: Link) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise OSError("not yet")
        one.alive()
        threading.Event().wait(0.01)

    one = link(serve)
    until(lambda: len(tries) > 3)
    assert not one.failing
    one.close()


def test_an_outage_is_told_once_and_its_end_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    tries = []

    def serve(one: Link) -> None:
        tries.append(1)
        if len(tries) != 10:
            raise OSError("away")
        one.alive()

    one = link(serve)
    until(lambda: len(tries) > 20)
    one.close()
    events = [record.message.split()[0] for record in caplog.records]
    assert events == ["sensor.link.down", "sensor.link.up", "sensor.link.down"]


def test_closing_does_not_wait_for_the_back_off() -> None:
    def serve(one: Link) -> None:
        raise OSError("away")

    one = Link("a device", serve, backoff=Backoff(1000, 1000))
    one.start()
    until(lambda: one.failures)
    one.close()
    one.close()
    assert not any(thread.name == "sensor a device" for thread in threading.enumerate())
