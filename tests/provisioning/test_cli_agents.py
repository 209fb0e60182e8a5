"""`milepost agents`: an order to real agents, over a real broker with certificates, and what each has to say."""

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, chdir, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agent.buffer.sqlite import SqliteBuffer
from agent.runtime.service import Agent
from agent.settings import AgentSettings, SensorSettings
from agent.transport.backoff import Backoff
from agent.transport.endpoint import EndpointLine, Tls
from agent.transport.paho import PahoTransport
from contract import topics
from provisioning import reserved_names
from provisioning.commands.rendering import answer_lines
from provisioning.registry.aws import AwsRegistry
from provisioning.registry.sqlite import LocalRegistry
from tests.agent.fakes import CountingSensor, FastClock
from tests.agent.trucks import write_candump
from tests.milepost_here import call
from tests.milepost_process import Ran, environment, finish, start
from tests.provisioning.account import equip as equip_at_aws
from tests.provisioning.account import peer as peer_at_aws
from tests.provisioning.aws import Ministack
from tests.provisioning.mosquitto import Broker, Files, Peer
from tests.waiting import until

WAIT = ("--wait", 80)


class Fleet:
    """A box with `milepost up`'s files, its broker, and agents that are connected to it."""

    def __init__(self, folder: Path, registry: LocalRegistry, equip: Callable[[str], Files], stack: ExitStack) -> None:
        self.folder, self.registry, self._equip, self._stack = folder, registry, equip, stack
        (folder / "data/broker").mkdir()
        self.broker = stack.enter_context(Broker(folder / "data/broker", registry))
        ready = {"mqtt": f"mqtt://127.0.0.1:{self.broker.port}", "mqtts": f"mqtts://127.0.0.1:{self.broker.tls_port}"}
        (folder / "data/up.json").write_text(json.dumps(ready))

    def truck(self, name: str, group: str = "", *, key: bool = True) -> Agent:
        """One more, whose agent runs; key: whether it has the command key."""
        files = self._equip(name)
        if group:
            self.registry.add(name, {"group": group})
        until(lambda: name in self.broker.gatekeeper._known)
        home = self.folder / name
        home.mkdir()
        write_candump(home / "engine.log")
        ca = home / "ca.pem"
        ca.write_text(self.registry.authority())
        if key:
            (home / "command.pub").write_text(self.registry.command_key.public() or "")
        settings = AgentSettings(
            truck_id=name,
            broker=f"mqtts://127.0.0.1:{self.broker.tls_port}",
            ca=ca,
            buffer=home / "buffer.db",
            interval=60,
            sensors=(SensorSettings(type="j1939", path=f"capture:{home / 'engine.log'}?speed=20"),),
        )
        line = EndpointLine("127.0.0.1", self.broker.tls_port, name, Tls(ca, files.certificate, files.key))
        agent = Agent(
            settings=settings,
            sensors=[CountingSensor()],
            clock=FastClock(1, datetime.now(UTC)),
            buffer=self._stack.enter_context(SqliteBuffer(settings.buffer, name)),
            transport=PahoTransport(line, backoff=Backoff(0.05, 0.3)),
        )
        stop = threading.Event()
        thread = threading.Thread(target=agent.run, args=(stop,))
        thread.start()
        self._stack.callback(lambda: (stop.set(), agent.wake(), thread.join(60)))
        until(lambda: agent.tally.connections)
        return agent

    def agents(self, *arguments: object, code: int = 0) -> Ran:
        with chdir(self.folder):
            done = call("agents", *arguments, "--data-dir", self.folder / "data", environ=environment(COLUMNS="80"))
        assert done.code == code, done
        return done

    def ask(self, *arguments: object, code: int = 0) -> Any:
        return self.agents(*arguments, "--json", code=code).json


@pytest.fixture
def fleet(tmp_path: Path, registry: LocalRegistry, equip: Callable[[str], Files]) -> Iterator[Fleet]:
    with ExitStack() as stack:
        yield Fleet(tmp_path, registry, equip, stack)


def test_each_truck_of_a_group_does_it_once_and_the_log_knows_who_said_so(fleet: Fleet) -> None:
    agents = {name: fleet.truck(name, group) for name, group in (("A", "north"), ("B", "north"), ("C", "south"))}
    said = fleet.ask("command", "sample_now", "--group", "north", *WAIT)
    assert [(one["truck_id"], one["state"]) for one in said] == [("A", "done"), ("B", "done")]
    assert all(one["detail"]["seq"] >= 1 for one in said)
    assert [fleet.registry.log(action="command", truck_id=name) != [] for name in agents] == [True, True, False]
    versions = fleet.ask("versions", "--group", "north")
    assert [(one["truck_id"], one["state"]) for one in versions["trucks"]] == [("A", "online"), ("B", "online")]
    assert list(versions["versions"].values()) == [2]


def test_a_recording_is_written_here_and_a_truck_without_the_key_says_so(fleet: Fleet) -> None:
    fleet.truck("A")
    fleet.truck("B", key=False)
    said = fleet.ask("command", "snapshot", 1, "--all", *WAIT, code=1)
    assert [one["state"] for one in said] == ["done", "refused"]
    frames = gzip.decompress((fleet.folder / said[0]["file"]).read_bytes()).decode().splitlines()
    assert len(frames) == said[0]["detail"]["frames"] > 0
    assert said[1]["detail"].startswith("this truck has no command key: copy the fleet's provisioning/command.pub to")
    assert said[1]["file"] is None


def test_who_comes_back_while_it_waits_hears_it_and_who_is_away_is_named(fleet: Fleet) -> None:
    fleet.registry.add("AWAY", {})
    fleet.registry.add("A", {})
    order = ("agents", "command", "report", "--truck", "A", *map(str, WAIT), "--data-dir", fleet.folder / "data")
    with closing(Peer(fleet.broker.port, "sees")) as onlooker:
        assert onlooker.connect() == "Success"
        onlooker.subscribe("fleet/+/command")
        waiting = start(*order)
        until(lambda: onlooker.heard)
    fleet.truck("A")
    done = finish(waiting)
    assert (done.code, done.out.startswith(b"A: done: highest_seq ")) == (0, True), done
    away = fleet.agents("command", "report", "--truck", "AWAY", "--wait", 0.2, code=1)
    assert away.out == b"AWAY: no answer: away, or of a release without commands\n"
    once = fleet.agents("command", "report", "--truck", "AWAY")
    assert once.out.startswith(b"told 1 truck; --wait SECONDS shows")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("command", "reboot", "--all"), "'reboot' is unknown: known are sample_now, report, doctor, snapshot"),
        (("command", "snapshot", "--all"), "snapshot takes seconds, a number from 1 to 60"),
        (("command", "snapshot", "61", "--all"), "snapshot takes seconds, a number from 1 to 60"),
        (("command", "report", "now", "--all"), "report takes no arguments"),
        (("command", "report"), "say which trucks: --truck ID, --group G, or --all"),
        (("command", "report", "--all", "--truck", "A"), "say which trucks: --truck ID, --group G, or --all"),
        (("command", "report", "--group", "x"), "no truck in use has group=x: `milepost provision truck add ID -a"),
        (("command", "report", "--truck", "B"), "no truck 'B'"),
        (("command", "report", "--truck", "OUT"), "OUT: retired, so not connected"),
        (("versions", "--truck", "A", "--group", "x"), "say which trucks"),
    ],
)
def test_wrong_usage_says_what_is_right(
    tmp_path: Path, registry: LocalRegistry, arguments: tuple[str, ...], reason: str
) -> None:
    registry.add("A", {})
    registry.add("OUT", {})
    registry.retire("OUT")
    done = call("agents", *arguments, "--data-dir", tmp_path / "data", environ=environment())
    assert done.code == 2
    assert reason in " ".join(done.err.split())


def test_without_a_running_box_it_says_what_to_start(tmp_path: Path, registry: LocalRegistry) -> None:
    registry.add("A", {})
    order = ("agents", "command", "report", "--all", "--data-dir", tmp_path / "data")
    done = call(*order, environ=environment())
    assert (done.code, "start `milepost up` with this data directory" in done.err) == (3, True)
    (tmp_path / "data/up.json").write_text('{"mqtt": "mqtt://127.0.0.1:1"}')
    done = call(*order, environ=environment())
    assert (done.code, "restart `milepost up` without --broker" in done.err) == (2, True)


def test_only_the_operator_commands_and_a_truck_hears_only_its_own(fleet: Fleet) -> None:
    fleet.registry.add("A", {})
    files = fleet._equip("B")
    until(lambda: "B" in fleet.broker.gatekeeper._known)
    ca = fleet.registry.folder / "ca.pem"
    truck = Peer(fleet.broker.tls_port, "B", ca=ca, certificate=files.certificate, key=files.key)
    assert truck.connect() == "Success"
    assert truck.subscribe(topics.command("B")) == "Granted QoS 1"
    assert truck.subscribe(topics.command("A")) == "Not authorized"
    passwords = fleet.broker.gatekeeper.passwords
    for name, password, may in (
        (reserved_names.OPERATOR, passwords.operator, True),
        (reserved_names.COLLECTOR, passwords.collector, False),
    ):
        with closing(Peer(fleet.broker.port, f"as-{name}")) as peer:
            peer.client.username_pw_set(name, password)
            assert peer.connect() == "Success"
            assert (peer.publish(topics.command("B")) == "Success") == may
            assert (peer.publish(topics.config("B")) == "Not authorized") == may
    assert truck.publish(topics.command("B")) == "Not authorized"
    until(lambda: [topic for topic, _ in truck.heard] == [topics.command("B")])
    truck.close()
    assert (fleet.folder / "data/broker/operator.password").stat().st_mode & 0o777 == 0o600


def test_a_truck_with_the_rights_of_an_earlier_release_goes_on_without_commands(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    """It is not cut off, and asks again when it connects again."""
    name = "A"
    fleet._equip(name)
    until(lambda: name in fleet.broker.gatekeeper._known)
    acls = [
        {"command": "removeRoleACL", "rolename": name, "acltype": kind, "topic": topics.command(name)}
        for kind in ("publishClientReceive", "subscribeLiteral")
    ]
    until(lambda: fleet.broker.gatekeeper._control)
    fleet.broker.gatekeeper._control.order(acls)  # type: ignore[union-attr]
    agent = fleet.truck(name)
    until(lambda: "commands_refused" in caplog.text)
    until(lambda: agent.tally.sent or fleet.registry.get(name).last_seen)
    assert (agent.tally.connections, caplog.text.count("commands_refused")) == (1, 1)


def test_at_aws_a_command_is_published_and_statuses_are_read(
    account: AwsRegistry, ministack: Ministack, name: str, tmp_path: Path, localhost: None
) -> None:
    truck = peer_at_aws(ministack, name, equip_at_aws(account, name, tmp_path))
    assert truck.connect() == "Success"
    assert truck.subscribe(topics.command(name)).startswith("Granted")
    truck.publish(topics.status(name), b'{"state": "online", "version": "1.2"}', retain=True)
    settings = {
        "MILEPOST_PROVISIONING__REGISTRY": "aws",
        "MILEPOST_PROVISIONING__ENDPOINT_URL": ministack.url,
        "MILEPOST_PROVISIONING__REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    order = ("agents", "command", "report", "--truck", name, "--data-dir", tmp_path / "data")
    done = call(*order, environ=environment(**settings))
    assert done.code == 0, done
    until(lambda: truck.heard)
    assert json.loads(json.loads(truck.heard[0][1])["command"])["truck_id"] == name
    refused = call(*order, "--wait", 1, environ=environment(**settings))
    assert (refused.code, "answers cannot be waited for here" in refused.err) == (2, True)
    seen = call("agents", "versions", "--truck", name, "--json", *order[-2:], environ=environment(**settings))
    assert seen.json["versions"] == {"1.2": 1}
    truck.close()


def test_a_trucks_words_cannot_paint_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    checks = [{"check": "disk", "state": "failed", "found": "full \x1b[2J" + "x " * 60, "remedy": "make room"}, 7]
    for detail in ("\x1b[2J", {"a": "\x1b[2J", "b": [1]}, {"checks": checks}, None, 3):
        lines = answer_lines("T1", "done\x1b", detail)
        assert all("\x1b" not in line and len(line) <= 60 for line in lines)
