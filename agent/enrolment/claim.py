"""AWS IoT's office: fleet provisioning over MQTT, with a claim certificate at first and the truck's own afterwards.

`CreateCertificateFromCsr` gives a certificate that is not active yet, `RegisterThing` has the template bind it to the
thing. Its hook (provisioning/hook.py) lets a claim register only a truck that the operator added, with that truck's
one-time token, and a truck's own certificate only that truck. paho instead of awsiotsdk: the protocol is four topics,
and awsiotsdk has no wheel for 32-bit ARM.
"""

import json
import queue
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from agent.enrolment import Granted
from agent.enrolment.wallet import write
from contract.errors import Misconfigured, Rejected, Unreachable

_SECONDS = 20.0
CREATE = "$aws/certificates/create-from-csr/json"


def register_topic(template: str) -> str:
    """Where RegisterThing is asked for."""
    return f"$aws/provisioning-templates/{template}/provision/json"


class ClaimOffice:
    """One account's endpoint. claim: certificate and key (PEM) of the enrolment file; token: its one-time token."""

    def __init__(
        self, broker: str, ca_file: Path, template: str, truck_id: str, *, claim: tuple[str, str, str] | None = None
    ) -> None:
        parts = urlsplit(broker)
        self._host, self._port = parts.hostname or "", parts.port or 8883
        self._ca_file, self._template, self._truck_id, self._claim = ca_file, template, truck_id, claim

    def enrol(self, csr: str) -> Granted:
        """The first certificate, for claim and token."""
        if self._claim is None:
            raise Misconfigured("the enrolment file has no claim: ask for a new one")
        certificate, key, token = self._claim
        return self._provision(csr, certificate, key.encode("ascii"), {"Token": token})

    def renew(self, csr: str, *, certificate: str, key: bytes) -> Granted:
        """A certificate for a new key, over a connection with the present one."""
        return self._provision(csr, certificate, key, {"Token": "renewal"})

    def confirm(self, *, certificate: str, key: bytes) -> None:
        """Nothing to say: the hook revokes the older certificates when this one renews, the operator at any time."""

    def _provision(self, csr: str, certificate: str, key: bytes, parameters: dict[str, str]) -> Granted:
        with self._connected(certificate, key) as ask:
            made = ask(CREATE, {"certificateSigningRequest": csr})
            request = {
                "certificateOwnershipToken": made["certificateOwnershipToken"],
                "parameters": {"ThingName": self._truck_id, **parameters},
            }
            registered = ask(register_topic(self._template), request)
        return Granted(str(registered.get("thingName", "")), str(made["certificatePem"]))

    @contextmanager
    def _connected(self, certificate: str, key: bytes) -> Iterator["_Ask"]:
        answers: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._truck_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        client.on_connect = lambda _c, _d, _f, code, _p: answers.put((f"connect/{code}", b""))
        client.on_subscribe = lambda _c, _d, _m, codes, _p: answers.put((f"subscribe/{codes[0]}", b""))
        client.on_disconnect = lambda _c, _d, _f, code, _p: answers.put((f"lost/{code}", b""))
        client.on_message = lambda _c, _d, message: answers.put(_of(message))
        try:
            client.tls_set_context(_context(self._ca_file, certificate, key))
            client.connect(self._host, self._port, keepalive=30)
        except ssl.SSLError as error:
            raise Rejected("", f"{self._host} refused the certificate: {error.reason or error}") from None
        except OSError as error:
            raise Unreachable(f"{self._host}:{self._port} cannot be reached: {error}; try again") from None
        client.loop_start()
        try:
            ask = _Ask(client, answers, self._host)
            ask.expect("connect/Success", "refused the connection")
            yield ask
        finally:
            client.disconnect()
            client.loop_stop()


class _Ask:
    """A request over MQTT and its answer, on `accepted` or `rejected`."""

    def __init__(self, client: Client, answers: "queue.SimpleQueue[tuple[str, bytes]]", host: str) -> None:
        self._client, self._answers, self._host = client, answers, host

    def __call__(self, topic: str, document: dict[str, Any]) -> dict[str, Any]:
        for kind in ("accepted", "rejected"):
            self._client.subscribe(f"{topic}/{kind}", qos=1)
            self.expect("subscribe/Granted", "does not let us subscribe")
        self._client.publish(topic, json.dumps(document), qos=1)
        while True:
            where, body = self._next()
            if where == f"{topic}/accepted":
                return dict(json.loads(body))
            if where == f"{topic}/rejected":
                raise Rejected("", f"{self._host}: {json.loads(body).get('errorMessage', 'rejected')}")

    def expect(self, beginning: str, otherwise: str) -> None:
        """Wait for an event; Rejected if it is another one."""
        where, _ = self._next()
        if not where.startswith(beginning):
            raise Rejected("", f"{self._host} {otherwise}: {where.partition('/')[2]}")

    def _next(self) -> tuple[str, bytes]:
        try:
            where, body = self._answers.get(timeout=_SECONDS)
        except queue.Empty:
            raise Unreachable(f"{self._host} does not answer; try again") from None
        if where.startswith("lost/"):
            raise Rejected("", f"{self._host} ended the connection: {where[5:]}; is the claim revoked or expired?")
        return where, body


def _of(message: MQTTMessage) -> tuple[str, bytes]:
    return message.topic, bytes(message.payload)


def _context(ca_file: Path, certificate: str, key: bytes) -> ssl.SSLContext:
    """OpenSSL reads keys from files only: one in a private folder, gone at once."""
    context = ssl.create_default_context(cafile=str(ca_file))
    with tempfile.TemporaryDirectory(prefix="milepost-") as folder:
        write(Path(folder, "certificate.pem"), certificate, mode=0o600)
        write(Path(folder, "key.pem"), key, mode=0o600)
        context.load_cert_chain(str(Path(folder, "certificate.pem")), str(Path(folder, "key.pem")))
    return context
