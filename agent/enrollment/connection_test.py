"""Connects once with an identity, publishes an empty batch, waits for its PUBACK: that is "the certificate works".

The broker knows a truck by its name, so this connection takes the place of the agent's own for a moment; that one comes
back by itself. A box lets a new truck in a quarter of a second after it got its certificate, and ends a truck's
connection when an older certificate is revoked, so a refusal counts only when it has lasted for a while.
"""

import ssl
import threading
import time
from urllib.parse import urlsplit

from paho.mqtt.client import Client

from agent.enrollment.credential_store import Identity
from agent.enrollment.paho_connection import connect, new_client
from contract import topics
from contract.errors import Rejected, Unreachable

_SECONDS = 10.0
_PATIENCE = 4.0
_PAUSE = 0.3
_FAILED = 128


class MqttProof:
    """Proves identities of one truck at one broker (mqtts://host:port)."""

    def __init__(self, broker: str, truck_id: str) -> None:
        parts = urlsplit(broker)
        self._host, self._port = parts.hostname or "", parts.port or 8883
        self._truck_id = truck_id

    def __call__(self, identity: Identity) -> None:
        """Rejected where the broker keeps refusing this certificate, Unreachable where it does not answer."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return self._attempt(identity)
            except Rejected:
                if time.monotonic() > deadline:
                    raise
            time.sleep(_PAUSE)

    def _attempt(self, identity: Identity) -> None:
        outcome = _Outcome()
        client = new_client(self._truck_id)
        topic = topics.batch(self._truck_id)
        client.on_connect = lambda _c, _d, _f, code, _p: outcome.connected(client, topic, code)
        client.on_publish = lambda _c, _d, _m, code, _p: outcome.finish("" if code.value < _FAILED else str(code))
        client.on_disconnect = lambda _c, _d, _f, code, _p: outcome.finish(f"disconnected: {code}")
        connect(client, self._host, self._port, _context(identity))
        client.loop_start()
        try:
            answered = outcome.settled.wait(_SECONDS)
        finally:
            client.disconnect()
            client.loop_stop()
        if not answered:
            raise Unreachable(f"the broker at {self._host}:{self._port} does not answer")
        if outcome.reason:
            raise Rejected("certificate", f"{self._host} refused it: {outcome.reason}")


def _context(identity: Identity) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(identity.ca_file))
    context.load_cert_chain(str(identity.certificate_file), str(identity.key_file))
    return context


class _Outcome:
    """The first thing that settles it. reason: empty for a PUBACK that says yes."""

    def __init__(self) -> None:
        self.settled = threading.Event()
        self.reason = ""

    def connected(self, client: Client, topic: str, code: object) -> None:
        if getattr(code, "is_failure", True):
            self.finish(str(code))
        else:
            client.publish(topic, b'{"records":[]}', qos=1)

    def finish(self, reason: str) -> None:
        if not self.settled.is_set():
            self.reason = reason
            self.settled.set()
