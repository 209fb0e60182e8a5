"""Commands to a whole agent over a real broker: answered in its reports, beside samples that go on."""

import base64
import json
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.settings import SensorSettings
from contract.timestamps import from_datetime
from tests.agent.fakes import FastClock
from tests.agent.live import Broker, Listener
from tests.agent.operator import Operator
from tests.agent.process import Process
from tests.agent.runtime.commands.test_snapshot import capture
from tests.agent.trucks import TRUCK, Truck
from tests.waiting import until

TOPIC = f"fleet/{TRUCK}/command"
Drive = Callable[..., Truck]


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path / "identity")


FIRST = "f" * 32
"""The id of the command by which is seen that a truck hears commands."""


@pytest.fixture
def drive(tmp_path: Path, broker: Broker, listener: Listener, operator: Operator) -> Iterator[Drive]:
    """A truck with the operator's key that hears commands, stopped at the end."""
    made: list[Truck] = []

    def make(*, speed: float = 1, settings: dict[str, Any] | None = None, **more: Any) -> Truck:
        settings = {"command_key": operator.file, **(settings or {})}
        truck = Truck(tmp_path, broker, clock=FastClock(speed), settings=settings, **more).start()
        made.append(truck)
        command = order(operator, truck, "report", id=FIRST)

        def hears() -> bool:
            """What is said before the truck has subscribed reaches nobody."""
            listener.publish(TOPIC, command)
            return any(one["id"] == FIRST for one in said(listener))

        until(hears)
        return truck

    yield make
    for truck in made:
        truck.end()


def order(operator: Operator, truck: Truck, name: str = "sample_now", **more: Any) -> dict[str, str]:
    now: datetime = truck.agent._clock.now()
    return operator.sign(operator.command(name, now=now, expires_at=from_datetime(now + timedelta(days=6)), **more))


def answers(listener: Listener) -> list[dict[str, Any]]:
    """All answers that came, pieces left out."""
    return [one for one in said(listener) if one["state"] != "part" and one["id"] != FIRST]


def said(listener: Listener) -> list[dict[str, Any]]:
    """Whatever reports had of commands."""
    return [one for report in listener.of("report") for one in report.get("commands", [])]


def test_a_sample_between_two_ticks_which_stay_where_they_are(
    listener: Listener, drive: Drive, operator: Operator
) -> None:
    """Repeated, the command takes no second sample, and is answered again."""
    truck = drive(settings={"interval": 86_400})
    due = truck.agent._due
    command = order(operator, truck)
    listener.publish(TOPIC, command)
    until(lambda: answers(listener))
    listener.publish(TOPIC, command)
    until(lambda: len(answers(listener)) == 2)
    assert [one["detail"] for one in answers(listener)] == [{"seq": 1}, {"seq": 1}]
    assert truck.agent._due == due
    until(lambda: list(listener.samples()) == [1])
    assert truck.stop().sampled == 1


def test_a_report_and_a_status_at_once(listener: Listener, drive: Drive, operator: Operator) -> None:
    truck = drive()
    statuses = len(listener.of("status"))
    listener.publish(TOPIC, order(operator, truck, "report"))
    until(lambda: answers(listener))
    assert answers(listener)[0]["detail"]["pending"] == 0
    until(lambda: len(listener.of("status")) > statuses)


def test_a_recording_comes_whole_over_a_broker_that_is_killed(
    broker: Broker, listener: Listener, drive: Drive, operator: Operator, tmp_path: Path
) -> None:
    """In pieces, one after the other; samples go on. What the broker acknowledged and forgot comes when asked again."""
    source = f"capture:{capture(tmp_path, 2000)}?speed=50"
    truck = drive(speed=600, settings={"sensors": (SensorSettings(type="j1939", path=source),)})
    sampled = truck.tally.sampled
    command = order(operator, truck, "snapshot", arguments={"seconds": 1})
    listener.publish(TOPIC, command)
    until(lambda: pieces(listener))
    broker.kill()
    listener.ready.clear()
    broker.start()
    assert listener.ready.wait(90)
    until(lambda: truck.tally.connections == 2)

    def whole() -> bool:
        listener.publish(TOPIC, command)
        promised = {one["detail"]["pieces"] for one in answers(listener)}
        return bool(promised) and len(pieces(listener)) == max(promised)

    until(whole)
    (promised,) = {one["detail"]["pieces"] for one in answers(listener)}
    assert promised > 2
    recording = b"".join(pieces(listener)[number] for number in range(1, promised + 1))
    assert recording == (tmp_path / "snapshots" / answers(listener)[0]["detail"]["file"]).read_bytes()
    assert truck.tally.sampled > sampled + 5


def pieces(listener: Listener) -> dict[int, bytes]:
    said = [one for report in listener.of("report") for one in report.get("commands", [])]
    return {one["detail"]["part"]: base64.b64decode(one["detail"]["data"]) for one in said if one["state"] == "part"}


def test_a_doctor_at_work_holds_up_nothing_and_no_second_one_begins(
    listener: Listener, drive: Drive, operator: Operator, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    waits = f"import pathlib, time\nwhile not pathlib.Path({str(go)!r}).exists(): time.sleep(0.01)\n"
    program = [sys.executable, "-c", waits + 'print(\'{"healthy": true, "checks": []}\')']
    truck = drive(speed=600, doctor=program)
    listener.publish(TOPIC, order(operator, truck, "doctor"))
    listener.publish(TOPIC, order(operator, truck, "doctor"))
    until(lambda: answers(listener))
    sampled = truck.tally.sent
    until(lambda: truck.tally.sent > sampled + 5)
    go.touch()
    until(lambda: len(answers(listener)) == 2)
    assert [(one["state"], type(one["detail"])) for one in answers(listener)] == [("refused", str), ("done", dict)]


def test_a_truck_without_a_key_says_what_is_missing_and_goes_on(listener: Listener, drive: Drive) -> None:
    truck = drive(settings={"command_key": None})
    refused = said(listener)[0]
    assert refused["state"] == "refused"
    assert refused["detail"].startswith("this truck has no command key: set [agent] command_key")
    assert truck.tally.connections == 1


def test_what_is_right_is_obeyed_without_pydantic(
    broker: Broker, listener: Listener, operator: Operator, tmp_path: Path
) -> None:
    """Which would stay in the agent's memory for good (tests/agent/test_footprint.py)."""
    process = Process(tmp_path / "truck", broker.url, more=f'command_key = "{operator.file}"\ntime_patience = 0\n')
    process.start()
    command = operator.sign(operator.command())

    def done() -> bool:
        listener.publish(TOPIC, command)
        return any(one["state"] == "done" for one in answers(listener))

    until(done)
    assert process.process
    assert "pydantic" not in Path(f"/proc/{process.process.pid}/maps").read_text()
    process.kill()


@pytest.mark.prove
def test_a_process_killed_in_a_recording_says_that_it_failed_and_records_no_second_time(
    broker: Broker, listener: Listener, operator: Operator, tmp_path: Path
) -> None:
    """SIGKILL, where the note is on disk and nothing else; then the real doctor."""
    more = f'command_key = "{operator.file}"\ntime_patience = 0\n'
    process = Process(tmp_path / "truck", broker.url, interval=1, more=more)
    config = process.config.read_text()
    process.config.write_text(
        f'{config}[[agent.sensors]]\ntype = "j1939"\npath = "capture:{capture(tmp_path, 2000)}"\n'
    )
    note = tmp_path / "truck" / "buffer.db.commands"
    command = operator.sign(operator.command("snapshot", arguments={"seconds": 60}))
    process.start()

    def begun() -> bool:
        tell_time(listener)
        listener.publish(TOPIC, command)
        return note.exists() and "begun" in note.read_text()

    until(begun)
    process.kill()
    process.start()
    until(lambda: [one["state"] for one in answers(listener)] == ["failed"])
    listener.publish(TOPIC, command)
    until(lambda: len(answers(listener)) == 2)
    assert {one["detail"] for one in answers(listener)} == {"the agent ended before it was done; it is not tried again"}
    assert pieces(listener) == {}
    listener.publish(TOPIC, operator.sign(operator.command("doctor")))
    until(lambda: len(answers(listener)) == 3)
    assert {"check": "buffer", "state": "ok"}.items() <= next(
        one for one in answers(listener)[-1]["detail"]["checks"] if one["check"] == "buffer"
    ).items()
    process.terminate()
    assert len(list((tmp_path / "truck" / "snapshots").iterdir())) == 1


def tell_time(listener: Listener) -> None:
    """Answer the truck's questions as the rule does: this machine's clock need not be disciplined."""
    for ask in listener.of("time/ask"):
        listener.client.publish(f"fleet/{TRUCK}/time", json.dumps({"id": ask["id"], "ms": int(time.time() * 1000)}))
