"""Each command once, whatever is repeated, lost or killed in between, and answered until the answer has arrived."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.errors import BufferDamaged
from agent.runtime.commands import memory
from agent.runtime.commands.runner import CommandRunner
from agent.settings import AgentSettings
from contract.control_messages import CommandAnswer
from tests.agent.fakes import TruckClock
from tests.agent.operator import Operator
from tests.agent.trucks import TRUCK
from tests.waiting import until

START = datetime(2026, 6, 1, 8, tzinfo=UTC)


class Station:
    """A truck's runner over a truck's clock; `die` is a SIGKILL: only the files stay."""

    def __init__(self, folder: Path, *, synchronised: bool = True) -> None:
        self.operator, self.folder = Operator(folder), folder
        self.clock = TruckClock(START)
        self.clock.synchronised = synchronised
        self.samples = 0
        self.fault: Exception | None = None
        self.arrived: list[dict[str, Any]] = []
        self.settings = AgentSettings(truck_id=TRUCK, buffer=folder / "buffer.db", command_key=self.operator.file)
        self.start()

    def start(self) -> None:
        self.runner = CommandRunner(
            self.settings,
            self.clock,
            lambda: self.clock.now() if self.clock.synchronised else None,
            acts={"sample_now": self.sample},
            doctor=None,
            wake=lambda: None,
        )

    die = start

    def sample(self) -> int:
        self.samples += 1
        if self.fault:
            raise self.fault
        return self.samples

    def order(self, name: str = "sample_now", **more: Any) -> bytes:
        return self.operator.payload(self.operator.command(name, now=self.clock.truth, **more))

    def report(self, *, arrives: bool = True) -> list[dict[str, Any]]:
        """What a report says; arrives: whether the broker acknowledges it."""
        said = list(self.runner.waiting())
        for one in said:
            CommandAnswer.model_validate(one)
        (self.runner.acknowledged if arrives else self.runner.returned)(said)
        self.arrived += said if arrives else []
        return said


@pytest.fixture
def station(tmp_path: Path) -> Station:
    return Station(tmp_path)


def states(said: list[dict[str, Any]]) -> list[str]:
    return [one["state"] for one in said]


def test_a_command_is_done_once_and_answered_again_where_it_is_repeated(station: Station) -> None:
    payload = station.order()
    station.runner.receive(payload)
    assert station.runner.tick()
    assert [(one["name"], one["state"], one["detail"]) for one in station.report()] == [("sample_now", "done", 1)]
    assert not station.runner.tick()
    assert station.report() == []
    station.runner.receive(payload)
    assert station.runner.tick()
    assert states(station.report()) == ["done"]
    assert station.samples == 1


@given(
    steps=st.lists(
        st.sampled_from(["new", "first", "last", "report", "lost report", "die", "hour"]), min_size=1, max_size=25
    )
)
@settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_in_any_order_of_repeats_losses_and_kills_each_is_done_once_and_answered(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    station = Station(tmp_path_factory.mktemp("station"))
    sent: list[bytes] = []
    for step in steps:
        if step == "new":
            sent.append(station.order())
            station.runner.receive(sent[-1])
        elif step in ("first", "last") and sent:
            station.runner.receive(sent[0 if step == "first" else -1])
        elif step in ("report", "lost report"):
            station.report(arrives=step == "report")
        elif step == "die":
            station.die()
        elif step == "hour":
            station.clock.passes(3600)
    station.report()
    assert station.samples == len(sent)
    assert len({one["id"] for one in station.arrived if one["state"] == "done"}) == len(sent)


def test_what_was_begun_when_the_agent_died_is_failed_and_not_done_again(station: Station) -> None:
    """A kill in the midst of it: the note is on disk, the answer is not."""
    station.fault = KeyboardInterrupt()  # type: ignore[assignment]
    payload = station.order()
    with pytest.raises(KeyboardInterrupt):
        station.runner.receive(payload)
    station.fault = None
    station.die()
    station.runner.receive(payload)
    (answer,) = station.report()
    assert (answer["state"], station.samples) == ("failed", 1)
    assert answer["detail"] == "the agent ended before it was done; it is not tried again"


def test_an_id_is_remembered_until_it_has_expired_and_refused_after_that(station: Station) -> None:
    old = station.order()
    station.runner.receive(old)
    station.report()
    station.clock.passes(700)
    station.runner.receive(station.order())  # takes note, and lets go of what has expired
    station.report()
    station.clock.synchronised = False  # whatever the clock says from now on
    station.clock.reboot(wall=START)
    station.die()
    station.runner.receive(old)
    station.runner.tick()
    (refused,) = station.report()
    assert refused["state"] == "refused"
    assert refused["detail"].startswith("it expired at ")
    assert station.samples == 2


def test_expired_early_retained_and_unsigned_ones_are_refused_and_cost_no_memory(
    station: Station, caplog: pytest.LogCaptureFixture
) -> None:
    late = station.order()
    station.clock.passes(601)
    station.runner.receive(late)
    station.clock.passes(-1000)
    station.runner.receive(late)
    station.runner.receive(Operator(station.folder / "another").payload(station.operator.command()))
    station.runner.receive(b"{}")
    station.runner.receive(station.order(), retained=True)
    assert station.runner.tick()
    details = [one["detail"] for one in station.report()]
    assert [text[:20] for text in details] == ["it expired 1 s ago, ", "it was issued 399 s ", "its signature is not"]
    assert "retained" in caplog.text
    assert station.samples == 0
    assert not (station.folder / "buffer.db.commands").exists()


def test_refusals_alone_make_a_report_every_five_seconds(station: Station) -> None:
    reports = 0
    for _ in range(50):
        for _ in range(20):
            station.runner.receive(station.order(truck_id="T2"))
        if station.runner.tick():
            reports += 1
            assert len(station.report()) == 8
        station.clock.passes(0.5)
    assert reports == 5


def test_unknown_names_and_wrong_arguments_are_refused_with_what_would_be_right(station: Station) -> None:
    station.runner.receive(station.order("reboot"))
    station.runner.receive(station.order(arguments={"fast": True}))
    for seconds in (0, 61, "5", True):
        station.runner.receive(station.order("snapshot", arguments={"seconds": seconds}))
    details = [one["detail"] for one in station.report()]
    assert details == [
        "'reboot' is unknown: known are sample_now, report, doctor, snapshot",
        "sample_now takes no arguments: leave fast out",
        *["snapshot takes seconds, a number from 1 to 60"] * 4,
    ]


def test_a_fault_of_what_is_done_is_an_answer_and_no_end(station: Station, caplog: pytest.LogCaptureFixture) -> None:
    station.fault = RuntimeError("the device has been pulled out")
    station.runner.receive(station.order())
    assert [one["detail"] for one in station.report()] == ["RuntimeError: the device has been pulled out"]
    station.fault = BufferDamaged("a page")
    with pytest.raises(BufferDamaged):
        station.runner.receive(station.order())
    assert states(station.report()) == ["failed"]
    assert "command_failed name=sample_now" in caplog.text


def test_without_a_time_the_harmless_is_done_and_a_snapshot_waits_for_one(tmp_path: Path) -> None:
    station = Station(tmp_path, synchronised=False)
    station.runner.receive(station.order())
    snapshot = station.order("snapshot", arguments={"seconds": 1})
    station.runner.receive(snapshot)
    station.runner.receive(snapshot)
    station.runner.tick()
    assert [one["name"] for one in station.report()] == ["sample_now"]
    station.clock.synchronised = True
    until(lambda: station.runner.tick())
    assert [(one["name"], one["state"]) for one in station.report()] == [("snapshot", "refused")]  # it has no CAN line
    station.clock.synchronised = False
    station.runner.receive(station.order("snapshot", arguments={"seconds": 1}))
    station.clock.passes(59)
    assert not station.runner.tick()
    station.clock.passes(2)
    assert station.runner.tick()
    (answer,) = station.report()
    assert answer["state"] == "refused"
    assert answer["detail"].startswith("nobody vouches for this truck's time")


def test_a_disk_that_takes_no_note_means_that_nothing_is_done(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("contract.atomic_file.write", full)
    payload = station.order()
    station.runner.receive(payload)
    station.runner.tick()
    (refused,) = station.report()
    assert (refused["state"], station.samples) == ("refused", 0)
    assert refused["detail"].startswith("the disk takes no note of it")
    monkeypatch.undo()
    station.runner.receive(payload)
    assert station.samples == 1


def test_what_arrived_gives_its_place_to_new_ones_and_what_did_not_keeps_it(station: Station) -> None:
    first = station.order()
    station.runner.receive(first)
    station.report()
    for _ in range(memory.MOST):
        station.clock.passes(0.001)
        station.runner.receive(station.order())
    assert station.samples == memory.MOST + 1
    station.runner.receive(station.order())
    assert station.samples == memory.MOST + 1
    station.runner.receive(first)  # forgotten, but it is known that it was
    station.runner.tick()
    said = [one for _ in range(9) for one in station.report()]
    assert states(said).count("done") == memory.MOST
    assert [one["detail"][:16] for one in said if one["state"] == "refused"] == ["128 commands wai", "it expired at 20"]


def test_answers_that_are_much_go_in_several_reports(station: Station) -> None:
    station.runner._acts = {"sample_now": lambda: "x" * 7000}
    for _ in range(5):
        station.runner.receive(station.order())
    sizes = []
    while station.runner.tick():
        sizes.append(len(station.report()))
    assert sizes == [2, 2, 1]


@pytest.mark.parametrize("damage", [lambda text: text[:40], lambda text: text.replace("done", "gone"), lambda _: "[]"])
def test_with_a_damaged_note_only_what_is_issued_from_then_on_is_done(
    station: Station, damage: Callable[[str], str]
) -> None:
    """Whatever came before may have been carried out; that it was damaged outlives another restart."""
    old = station.order()
    station.runner.receive(old)
    file = station.folder / "buffer.db.commands"
    file.write_text(damage(file.read_text()))
    station.clock.passes(1)
    station.clock.synchronised = False
    station.die()
    station.runner.receive(station.order())
    station.clock.synchronised = True
    for _ in range(2):
        station.runner.receive(old)
        station.die()
    assert station.samples == 1
    station.clock.passes(1)
    station.runner.receive(station.order())
    assert states(station.report()) == ["done"]
    assert station.samples == 2
