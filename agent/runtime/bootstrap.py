"""From settings to a running agent: the one place of this room that chooses implementations."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager

from agent.buffer.sqlite import SqliteBuffer
from agent.enrollment.renewal_thread import renewing
from agent.publishing.publisher import with_lanes
from agent.runtime.sd_notify import Pulse
from agent.runtime.service import Agent, Tally
from agent.sensors import Sensor, open_sensor
from agent.settings import AgentSettings
from agent.timing.clock import SystemClock
from agent.transport import Limits, Transport
from agent.transport.endpoint import ALPN, Line, Tls
from contract.errors import Misconfigured

HTTPS = 443


@contextmanager
def open_sensors(settings: AgentSettings) -> Iterator[Sequence[Sensor]]:
    """The sensors of the settings, closed at the end. Misconfigured where there are none, or one cannot be opened."""
    if not settings.sensors:
        raise Misconfigured('no sensors: add [[agent.sensors]] tables with type and path, e.g. type = "replay"')
    opened: list[Sensor] = []
    try:
        for sensor in settings.sensors:
            opened.append(open_sensor(sensor.type, sensor.path, interval=settings.interval))
        yield opened
    finally:
        for each in opened:
            each.close()


def open_buffer(settings: AgentSettings) -> SqliteBuffer:
    """The buffer of the settings."""
    return SqliteBuffer(settings.buffer, settings.truck_id, limit=int(settings.buffer_limit * 1024 * 1024))


def open_transport(settings: AgentSettings) -> Transport:
    """The transport to the broker of the settings, not yet started. Misconfigured where its library is missing, or a
    certificate cannot be loaded."""
    limits = with_lanes(Limits() if settings.iot_core else Limits().of_own_broker(), settings.lanes)
    alpn = ALPN if settings.port == HTTPS else None
    tls = Tls(settings.ca, settings.certificate, settings.key, alpn) if settings.tls else None
    line = Line(settings.host, settings.port, settings.truck_id, tls, session_expiry=settings.session_expiry)
    if settings.transport == "aws":
        return _aws()(line, limits=limits)
    return _paho()(line, limits=limits)


def _paho() -> Callable[..., Transport]:
    try:
        from agent.transport.paho import PahoTransport
    except ModuleNotFoundError:
        raise Misconfigured("paho-mqtt is not installed: pip install 'milepost[agent]'") from None
    return PahoTransport


def _aws() -> Callable[..., Transport]:
    try:
        from agent.transport.aws import AwsIotTransport
    except ModuleNotFoundError:
        raise Misconfigured(
            'transport = "aws" needs awsiotsdk: pip install \'milepost[agent-aws]\', or set transport = "paho"'
        ) from None
    return AwsIotTransport


def serve(settings: AgentSettings, reread: Callable[[], AgentSettings] | None = None) -> Tally:
    """Run the agent of the settings in the main thread until SIGTERM or SIGINT; SIGHUP reads the settings again."""
    stop = threading.Event()
    clock = SystemClock()
    pulse = Pulse.from_environment(os.environ, clock.monotonic)
    transport = open_transport(settings)
    with (
        closing(pulse),
        open_sensors(settings) as sensors,
        open_buffer(settings) as buffer,
        renewing(settings.certificate, getattr(transport, "tls", None)),
    ):
        agent = Agent(
            settings=settings,
            sensors=sensors,
            clock=clock,
            buffer=buffer,
            transport=transport,
        )

        def end(*_: object) -> None:
            stop.set()
            agent.wake()

        handlers = {signal.SIGTERM: end, signal.SIGINT: end, signal.SIGHUP: lambda *_: agent.hang_up()}
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            return agent.run(stop, pulse=pulse, reread=reread)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
