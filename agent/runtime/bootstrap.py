"""From settings to a running agent: the one place of this room that chooses implementations."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING

from agent.buffer.never_stored import NeverStoredCounts
from agent.buffer.sqlite import SqliteBuffer
from agent.enrollment.renewal_thread import renewing
from agent.publishing.rate_limiter import with_lanes
from agent.runtime.diskless_start import DisklessStart
from agent.runtime.sd_notify import Pulse
from agent.runtime.service import Agent, Tally
from agent.sampling.held_samples import HeldSamples
from agent.sampling.sampler import Sampler
from agent.sensors import Sensor, open_sensor
from agent.settings import AgentSettings
from agent.timing.clock import SystemClock
from agent.transport import BrokerLimits, Transport
from agent.transport.endpoint import ALPN, EndpointLine, Tls
from contract.errors import Misconfigured
from contract.process_signals import told

if TYPE_CHECKING:
    from agent.runtime.metrics_page import MetricsPage

HTTPS = 443


@contextmanager
def open_sensors(settings: AgentSettings) -> Iterator[Sequence[Sensor]]:
    """The sensors of the settings, closed at the end. Misconfigured where there are none, or one cannot be opened."""
    if not settings.sensors:
        raise Misconfigured('no sensors: add [[agent.sensors]] tables with type and path, e.g. type = "replay"')
    opened: list[Sensor] = []
    try:
        for sensor in settings.sensors:
            opened.append(open_sensor(sensor.type, sensor.path, interval=settings.interval, options=sensor.options))
        yield opened
    finally:
        for each in opened:
            each.close()


def open_buffer(settings: AgentSettings) -> SqliteBuffer:
    """The buffer of the settings.

    Args:
        settings: where it is, whose, and how large it may grow (MB).

    Returns:
        An open one, for the caller to close.

    Raises:
        Misconfigured: another process uses it, it is another truck's, or no buffer.
        Retryable: the disk refuses.
    """
    return SqliteBuffer(settings.buffer, settings.truck_id, limit=int(settings.buffer_limit * 1024 * 1024))


def open_transport(settings: AgentSettings) -> Transport:
    """The transport to the broker of the settings.

    Args:
        settings: broker, certificates, library and rates.

    Returns:
        One that is not started.

    Raises:
        Misconfigured: its library is missing, or a certificate cannot be loaded.
    """
    limits = with_lanes(BrokerLimits() if settings.iot_core else BrokerLimits().of_own_broker(), settings.lanes)
    alpn = ALPN if settings.port == HTTPS else None
    tls = Tls(settings.ca, settings.certificate, settings.key, alpn) if settings.tls else None
    line = EndpointLine(
        settings.host,
        settings.port,
        settings.truck_id,
        tls,
        session_expiry=settings.session_expiry,
        protocol=settings.protocol,
        username=settings.username,
        password=settings.password,
    )
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


def _page(stack: ExitStack, address: str | None) -> "MetricsPage | None":
    if address is None:
        return None
    from agent.runtime.metrics_page import MetricsPage  # http.server costs 3 MB that no other truck needs

    return stack.enter_context(closing(MetricsPage(address)))


def serve(
    settings: AgentSettings,
    reread: Callable[[], AgentSettings] | None = None,
    *,
    metrics: str | None = None,
    doctor: Sequence[str] | None = None,
) -> Tally:
    """Run the agent of the settings in the main thread until SIGTERM or SIGINT; SIGHUP reads the settings again.

    Where the disk refuses a buffer, samples are held in memory until it takes one. metrics: HOST:PORT of a page of
    figures, None for none. doctor: the program that examines this truck when a command asks for it.
    Raises Misconfigured for settings with which no agent can run.
    """
    stop, wakened = threading.Event(), SimpleQueue[None]()
    clock = SystemClock()
    pulse = Pulse.from_environment(os.environ, clock.monotonic)
    transport = open_transport(settings)
    agent: Agent | None = None

    def end() -> None:
        stop.set()
        wakened.put(None)
        if agent:
            agent.wake()

    def hang_up() -> None:
        if agent:
            agent.hang_up()

    with ExitStack() as stack:
        stack.enter_context(closing(pulse))
        page = _page(stack, metrics)
        sensors = stack.enter_context(open_sensors(settings))
        stack.enter_context(told({signal.SIGTERM: end, signal.SIGINT: end, signal.SIGHUP: hang_up}))
        held = HeldSamples(NeverStoredCounts(settings.lost_file))
        sampler = Sampler(settings.truck_id, sensors, clock, since_last=settings.since_last)
        start = DisklessStart(sampler, clock, held, pulse)
        buffer = start.buffer(settings, lambda: open_buffer(settings), stop, wakened)
        if buffer is None:
            return Tally(not_stored=held.never_stored)
        stack.enter_context(buffer)
        stack.enter_context(renewing(settings.certificate, getattr(transport, "tls", None)))
        agent = Agent(
            settings=settings,
            sensors=sensors,
            clock=clock,
            buffer=buffer,
            transport=transport,
            held=held,
            show=page.show if page else None,
            doctor=doctor,
        )
        return agent.run(stop, pulse=pulse, reread=reread)
