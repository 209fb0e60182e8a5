"""One attempt of a connection over mutual TLS by paho, for what is asked once and not kept up."""

import ssl

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from contract.errors import Rejected, Unreachable

_KEEPALIVE_SECONDS = 30


def new_client(client_id: str) -> Client:
    """An MQTT 5 client that does not connect again by itself; set its callbacks, then `connect`."""
    return Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        protocol=MQTTProtocolVersion.MQTTv5,
        reconnect_on_failure=False,
    )


def connect(client: Client, host: str, port: int, context: ssl.SSLContext) -> None:
    """Connect; whether the broker agrees is told to `on_connect`.

    Raises:
        Rejected: the handshake failed: one side does not trust the other's certificate.
        Unreachable: nobody answers there.
    """
    try:
        client.tls_set_context(context)
        client.connect(host, port, keepalive=_KEEPALIVE_SECONDS, clean_start=True)
    except ssl.SSLError as error:
        raise Rejected("certificate", f"{host} refused it: {error.reason or error}") from None
    except OSError as error:
        raise Unreachable(f"{host}:{port} cannot be reached: {error}; try again") from None
