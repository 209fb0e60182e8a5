"""Waiting for a TLS port of the tests' own."""

import socket
import ssl
import time


def wait_for_handshake(port: int, context: ssl.SSLContext) -> None:
    """Until a port of 127.0.0.1 answers a handshake: ministack's very first one may take many seconds."""
    deadline = time.monotonic() + 90
    while True:
        try:
            with (
                socket.create_connection(("127.0.0.1", port), 3) as plain,
                context.wrap_socket(plain, server_hostname="localhost"),
            ):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
