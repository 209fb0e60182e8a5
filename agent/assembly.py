"""From settings to a running agent: the one place of this room that chooses implementations."""

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from agent.buffer.sqlite import SqliteBuffer
from agent.clock import SystemClock
from agent.sensors import Sensor, open_sensor
from agent.service import Agent, Tally
from agent.settings import AgentSettings
from agent.transport import Transport
from contract.errors import Misconfigured


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
    """The transport to the broker of the settings, not yet started."""
    try:
        from agent.transport.line import Line, Tls
        from agent.transport.paho import PahoTransport
    except ModuleNotFoundError:
        raise Misconfigured("paho-mqtt is not installed: pip install 'milepost[agent]'") from None
    tls = Tls(settings.ca, settings.certificate, settings.key) if settings.tls else None
    return PahoTransport(Line(settings.host, settings.port, settings.truck_id, tls))


def serve(settings: AgentSettings) -> Tally:
    """Run the agent of the settings in the main thread until SIGTERM or SIGINT."""
    stop = threading.Event()
    with open_sensors(settings) as sensors, open_buffer(settings) as buffer:
        agent = Agent(
            settings=settings,
            sensors=sensors,
            clock=SystemClock(),
            buffer=buffer,
            transport=open_transport(settings),
        )

        def end(*_: object) -> None:
            stop.set()
            agent.wake()

        before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            return agent.run(stop)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
