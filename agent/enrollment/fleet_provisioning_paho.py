"""Fleet provisioning over paho: a desk for machines without awsiotsdk. The protocol is four topics."""

import json
import queue
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, MQTTMessage

from agent.enrollment.credential_store import write
from agent.enrollment.paho_connection import connect, new_client
from agent.enrollment.provisioning_client import SECONDS, Made, ProvisioningEndpoint
from contract.errors import Rejected, Unreachable

CREATE = "$aws/certificates/create-from-csr/json"


def register_topic(template: str) -> str:
    """Where RegisterThing is asked for."""
    return f"$aws/provisioning-templates/{template}/provision/json"


@contextmanager
def open_desk(line: ProvisioningEndpoint) -> Iterator["PahoDesk"]:
    """Connect, once: what stands in the way is said and not tried again."""
    answers: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
    client = new_client(line.client_id)
    client.on_connect = lambda _c, _d, _f, code, _p: answers.put((f"connect/{code}", b""))
    client.on_subscribe = lambda _c, _d, _m, codes, _p: answers.put((f"subscribe/{codes[0]}", b""))
    client.on_disconnect = lambda _c, _d, _f, code, _p: answers.put((f"lost/{code}", b""))
    client.on_message = lambda _c, _d, message: answers.put(_of(message))
    connect(client, line.host, line.port, _context(line))
    client.loop_start()
    try:
        desk = PahoDesk(client, answers, line.host)
        desk.expect("connect/Success", "refused the connection")
        yield desk
    finally:
        client.disconnect()
        client.loop_stop()


class PahoDesk:
    """Requests over one connection, each with its answer on `accepted` or `rejected`."""

    def __init__(self, client: Client, answers: "queue.SimpleQueue[tuple[str, bytes]]", host: str) -> None:
        self._client, self._answers, self._host = client, answers, host

    def create(self, csr: str) -> Made:
        """CreateCertificateFromCsr."""
        made = self._ask(CREATE, {"certificateSigningRequest": csr})
        return Made(str(made["certificatePem"]), str(made["certificateOwnershipToken"]))

    def register(self, template: str, ownership: str, parameters: dict[str, str]) -> str:
        """RegisterThing."""
        request = {"certificateOwnershipToken": ownership, "parameters": parameters}
        return str(self._ask(register_topic(template), request).get("thingName", ""))

    def _ask(self, topic: str, document: dict[str, Any]) -> dict[str, Any]:
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
            where, body = self._answers.get(timeout=SECONDS)
        except queue.Empty:
            raise Unreachable(f"{self._host} does not answer; try again") from None
        if where.startswith("lost/"):
            raise Rejected("", f"{self._host} ended the connection: {where[5:]}; is the claim revoked or expired?")
        return where, body


def _of(message: MQTTMessage) -> tuple[str, bytes]:
    return message.topic, bytes(message.payload)


def _context(line: ProvisioningEndpoint) -> ssl.SSLContext:
    """OpenSSL reads keys from files only: one in a private folder, gone at once."""
    context = ssl.create_default_context(cadata=line.ca)
    with tempfile.TemporaryDirectory(prefix="milepost-") as folder:
        write(Path(folder, "certificate.pem"), line.certificate, mode=0o600)
        write(Path(folder, "key.pem"), line.key, mode=0o600)
        context.load_cert_chain(str(Path(folder, "certificate.pem")), str(Path(folder, "key.pem")))
    return context
