"""Both transports over mutual TLS against a real mosquitto, and a record of their events."""

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from agent.transport import BrokerLimits, Connected, Delivered, Event, Lost, Message, Refused, Transport
from agent.transport.backoff import Backoff
from agent.transport.endpoint import EndpointLine
from tests.agent.live import Broker, Listener
from tests.agent.pki import Authority
from tests.waiting import until

OWN = BrokerLimits().of_own_broker()


def make_transport(kind: str, line: EndpointLine, limits: BrokerLimits | None = None) -> Transport:
    """A transport by the name that the setting has for it, with a short back-off."""
    backoff = Backoff(0.05, 0.2)
    if kind == "paho-3.1.1":
        line = replace(line, protocol="3.1.1")
    if kind.startswith("paho"):
        from agent.transport.paho import PahoTransport

        return PahoTransport(line, limits=limits or OWN, backoff=backoff)
    if importlib.util.find_spec("awscrt") is None:
        pytest.skip("awsiotsdk is not installed: pip install 'milepost[agent-aws]'")
    from agent.transport.aws import AwsIotTransport

    return AwsIotTransport(line, limits=limits or OWN, backoff=backoff)


class Recorder:
    """A transport that has been started, and its events in order."""

    def __init__(self, transport: Transport) -> None:
        self.events: list[Event] = []
        self.transport = transport
        will = Message(0, "fleet/T1/status", b'{"state":"lost"}', retain=True)
        transport.start(self.events.append, will=will, subscribe=("fleet/T1/resend", "fleet/T1/config"))

    def of(self, kind: type) -> list[Any]:
        """The events of one kind."""
        return [event for event in list(self.events) if isinstance(event, kind)]

    def count(self, kind: type) -> int:
        """How many events of a kind there have been; tokens for Delivered."""
        return sum(len(event.tokens) if isinstance(event, Delivered) else 1 for event in self.of(kind))

    def until(self, kind: type, number: int = 1, seconds: float = 90) -> None:
        """Wait for the n-th event of a kind."""
        until(lambda: self.count(kind) >= number, seconds)

    def tokens(self) -> list[int]:
        """What was delivered, in order."""
        return [token for event in self.of(Delivered) for token in event.tokens]

    def turns(self) -> list[type]:
        """Connected and Lost, in order."""
        return [type(event) for event in list(self.events) if isinstance(event, Connected | Lost)]

    def refused(self) -> list[tuple[int, int]]:
        """(token, code) of all refusals."""
        return [(event.token, event.code) for event in self.of(Refused)]


@pytest.fixture(params=["paho", "paho-3.1.1", "aws"])
def kind(request: pytest.FixtureRequest) -> str:
    """Each implementation in turn."""
    name: str = request.param
    if name == "aws" and importlib.util.find_spec("awscrt") is None:
        pytest.skip("awsiotsdk is not installed: pip install 'milepost[agent-aws]'")
    return name


@pytest.fixture
def mqtt5(kind: str) -> None:
    """For what a 3.1.1 broker cannot say."""
    if kind == "paho-3.1.1":
        pytest.skip("MQTT 3.1.1 names neither limits nor refusals, and the broker of this test speaks 5")


@pytest.fixture
def record(kind: str) -> Iterator[Callable[..., Recorder]]:
    """Started transports, closed at the end."""
    made: list[Recorder] = []

    def make(line: EndpointLine, limits: BrokerLimits | None = None) -> Recorder:
        made.append(Recorder(make_transport(kind, line, limits)))
        return made[-1]

    yield make
    for each in made:
        each.transport.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """One for all tests of a module."""
    return Authority(tmp_path_factory.mktemp("pki"))


class Road:
    """A broker that wants certificates, and the line of truck T1 to it."""

    def __init__(self, authority: Authority, broker: Broker) -> None:
        self.authority, self.broker = authority, broker
        self.tls = authority.issue("T1")

    def line(self, **more: Any) -> EndpointLine:
        """T1's way there."""
        return EndpointLine("127.0.0.1", self.broker.port, "T1", more.pop("tls", self.tls), **more)


@pytest.fixture
def make_road(make_broker: Callable[..., Broker], authority: Authority) -> Callable[..., Road]:
    """Roads with extra lines of the broker's configuration."""
    return lambda extra="": Road(authority, make_broker(authority.mosquitto() + extra))


@pytest.fixture
def road(make_road: Callable[..., Road]) -> Road:
    """To a broker that lets every certificate publish anything."""
    return make_road()


@pytest.fixture
def watcher(road: Road) -> Iterator[Listener]:
    """A subscriber of everything on `road`'s broker."""
    one = Listener(road.broker.port, tls=road.authority.context("listener"))
    yield one
    one.close()
