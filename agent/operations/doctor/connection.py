"""Checks of the way to the broker: certificates, name, port, TLS, and whether it lets this truck in.

While the service runs its connection is left alone, as a second one by the same name would end the first; then the
check goes as far as TLS, and on to what the service has noted. Otherwise it logs in as the truck, with the transport of
the settings.
"""

import socket
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, SimpleQueue

from agent.buffer.inspection import glance
from agent.operations.doctor.certificate import valid_until
from agent.operations.doctor.finding import DoctorFinding
from agent.operations.lock_owner import holder
from agent.settings import AgentSettings
from agent.transport import Connected, Event, NotConnected
from contract.errors import Misconfigured

_SECONDS = 8.0
_ALERT_SECONDS = 0.5
_SOON_DAYS = 30
_OUT_OF_TIME = {9, 10}  # OpenSSL: CERT_NOT_YET_VALID, CERT_HAS_EXPIRED


def certificates(settings: AgentSettings) -> Iterator[DoctorFinding]:
    """Whether the files can be read and how long they are good."""
    if not settings.tls:
        yield DoctorFinding(
            "certificate", "skipped", f"{settings.broker} is without TLS", "use mqtts:// outside a trusted network"
        )
        return
    for key in ("ca", "certificate"):
        path: Path | None = getattr(settings, key)
        if path:
            yield _certificate(key, path)
    if settings.key and not _readable(settings.key):
        remedy = f"chgrp milepost {settings.key}; chmod 640 {settings.key}"
        yield DoctorFinding("key", "failed", f"{settings.key} cannot be read by this user", remedy)


def _certificate(key: str, path: Path) -> DoctorFinding:
    renew = "milepost agent enroll --renew" if key == "certificate" else "copy the broker's present CA there"
    try:
        until = valid_until(path)
    except (OSError, ValueError) as error:
        return DoctorFinding(key, "failed", str(error), f"correct [agent] {key}, or: {renew}")
    days = (until - datetime.now(UTC)).days
    found = f"{path} is good until {until:%F}, {days} days"
    if days < 0:
        anew = "nobody renews what has run out: milepost agent enroll --file, with a file of milepost provision bundle"
        remedy = anew if key == "certificate" else renew
        return DoctorFinding(key, "failed", f"{path} has run out on {until:%F}", remedy)
    return DoctorFinding(key, "warning", found, renew) if days < _SOON_DAYS else DoctorFinding(key, "ok", found)


def broker(settings: AgentSettings) -> Iterator[DoctorFinding]:
    """How far this truck gets."""
    where = f"{settings.host}:{settings.port}"
    try:
        socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
    except OSError as error:
        yield DoctorFinding(
            "broker",
            "failed",
            f"{settings.host} has no address: {error}",
            "check the network, the name in [agent] broker, and DNS",
        )
        return
    try:
        with socket.create_connection((settings.host, settings.port), timeout=_SECONDS) as line:
            if settings.tls and (fault := _handshake(settings, line)):
                yield fault
                return
    except OSError as error:
        yield DoctorFinding(
            "broker",
            "failed",
            f"{where} does not answer: {error.strerror or error}",
            "check the network, the port in [agent] broker, and firewalls on the way",
        )
        return
    if process := holder(settings.buffer):
        answers = f"{where} answers{' with TLS' if settings.tls else ''}"
        yield _as_the_agent_finds(settings, f"{answers}; the agent (pid {process}) runs")
        return
    yield _log_in(settings, where)


def _as_the_agent_finds(settings: AgentSettings, found: str) -> DoctorFinding:
    """What the running agent has noted of its connection."""
    try:
        notes = glance(settings.buffer).notes
    except Misconfigured:  # the check of the buffer says so
        return DoctorFinding("broker", "ok", f"{found}, see its log")
    refused, connection = notes.get("last_refusal_at", ""), notes.get("connection", "")
    if refused > notes.get("last_sent_at", ""):
        told = f"{found}, and was refused at {refused}, with nothing taken since: {notes.get('last_refusal')}"
        return DoctorFinding("broker", "failed", told, f"mend the policy or ACL of {settings.truck_id}")
    if connection not in ("connected", ""):
        told = f"{found} and has no connection since {notes.get('connection_at')} ({connection})"
        return DoctorFinding(
            "broker", "warning", told, "the agent's log says why: this truck's name, certificate or policy"
        )
    return DoctorFinding("broker", "ok", f"{found}, see its status")


def _handshake(settings: AgentSettings, line: socket.socket) -> DoctorFinding | None:
    """What is wrong with TLS; in TLS 1.3 a refused client certificate shows only when one reads."""
    try:
        context = ssl.create_default_context(cafile=str(settings.ca) if settings.ca else None)
        if settings.certificate:
            context.load_cert_chain(str(settings.certificate), str(settings.key))
    except (OSError, ssl.SSLError) as error:
        return DoctorFinding(
            "broker", "failed", f"the TLS files cannot be loaded: {error}", "see the checks of ca, certificate and key"
        )
    try:
        with context.wrap_socket(line, server_hostname=settings.host) as secure:
            secure.settimeout(_ALERT_SECONDS)
            if not secure.recv(1):
                return DoctorFinding(
                    "broker",
                    "failed",
                    "it ends the connection after TLS",
                    "enroll this truck there: milepost agent enroll; or mend [agent] certificate and key",
                )
    except TimeoutError:
        return None
    except ssl.SSLCertVerificationError as error:
        remedy = "check [agent] ca, and the name in [agent] broker"
        if error.verify_code in _OUT_OF_TIME:
            remedy = "renew the broker's certificate, or set this machine's clock: see the check of the clock"
        found = f"its certificate is not to be trusted: {error.verify_message}"
        return DoctorFinding("broker", "failed", found, remedy)
    except ssl.SSLError as error:
        remedy = "see the check of the certificate; it may have been revoked: milepost agent enroll makes a new one"
        return DoctorFinding("broker", "failed", f"it refuses this truck's certificate: {error.reason}", remedy)
    return None


def _log_in(settings: AgentSettings, where: str) -> DoctorFinding:
    from agent.runtime.bootstrap import open_transport

    events: SimpleQueue[Event] = SimpleQueue()
    try:
        transport = open_transport(settings)
    except Misconfigured as error:
        return DoctorFinding("broker", "failed", str(error), "install what is missing")
    transport.start(events.put)
    reason, deadline = "no answer", time.monotonic() + _SECONDS
    try:
        while (left := deadline - time.monotonic()) > 0:
            event = events.get(timeout=left)
            if isinstance(event, Connected):
                found = f"{where} lets {settings.truck_id} in ({settings.transport})"
                return DoctorFinding("broker", "ok", f"{found}; it takes messages of {event.payload // 1024} KiB")
            if isinstance(event, NotConnected):
                reason = event.reason
    except Empty:
        pass
    finally:
        transport.close()
    remedy = "its log says why: this truck's name, certificate or policy, or no MQTT 5 there"
    return DoctorFinding("broker", "failed", f"{where} does not let {settings.truck_id} in ({reason})", remedy)


def _readable(path: Path) -> bool:
    try:
        with path.open("rb"):
            return True
    except OSError:
        return False
