"""A ministack of our own with its IoT endpoint on loopback and policies enforced, and a truck that it knows."""

import json
import os
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from agent.transport.endpoint import Line, Tls
from tests.tls import wait_for_handshake

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}  # fmt: skip
MAIN = """
import socket
bind = socket.socket.bind  # its device port listens on every address
def on_loopback(self, address):
    bind(self, ("127.0.0.1", *address[1:]) if isinstance(address, tuple) and address[0] == "0.0.0.0" else address)
socket.socket.bind = on_loopback
from ministack.app import main
main()
"""
THING = "${iot:Connection.Thing.ThingName}"
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "iot:Connect", "Resource": f"arn:aws:iot:*:*:client/{THING}"},
        {
            "Effect": "Allow",
            "Action": ["iot:Publish", "iot:RetainPublish"],
            "Resource": [
                f"arn:aws:iot:*:*:topic/fleet/{THING}/*",
                f"arn:aws:iot:*:*:topic/$aws/rules/*/fleet/{THING}/*",
            ],
        },
        {
            "Effect": "Allow",
            "Action": ["iot:Subscribe", "iot:Receive"],
            "Resource": [
                f"arn:aws:iot:*:*:topicfilter/fleet/{THING}/*",
                f"arn:aws:iot:*:*:topic/fleet/{THING}/*",
            ],
        },
    ],
}  # fmt: skip


class Ministack:
    """The process; `close` ends it by its id."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.http, self.mqtt = folder, _free_port(), _free_port()
        self.url = f"http://127.0.0.1:{self.http}"
        environment = {
            **os.environ, **CREDENTIALS, "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(self.http), "AUTH": "true",
            "IOT_MTLS_PORT": str(self.mqtt), "SFTP_ENABLED": "0", "TMPDIR": str(folder), "LOG_LEVEL": "WARNING",
        }  # fmt: skip
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", MAIN], env=environment, cwd=folder, stdout=log, stderr=log
            )
        self._wait()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        wait_for_handshake(self.mqtt, context)

    def client(self, service: str) -> Any:
        """A boto3 client."""
        import boto3

        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )

    def register(self, truck_id: str) -> Line:
        """A thing with a certificate and the policy, and its line here."""
        iot = self.client("iot")
        iot.create_thing(thingName=truck_id)
        made = iot.create_keys_and_certificate(setAsActive=True)
        iot.create_policy(policyName=f"truck-{truck_id}", policyDocument=json.dumps(POLICY))
        iot.attach_policy(policyName=f"truck-{truck_id}", target=made["certificateArn"])
        iot.attach_thing_principal(thingName=truck_id, principal=made["certificateArn"])
        ca, certificate, key = (self.folder / f"{truck_id}.{end}" for end in ("ca", "pem", "key"))
        with urllib.request.urlopen(f"{self.url}/_ministack/iot/ca.pem", timeout=10) as answer:
            ca.write_bytes(answer.read())
        certificate.write_text(made["certificatePem"])
        key.write_text(made["keyPair"]["PrivateKey"])
        return Line("localhost", self.mqtt, truck_id, Tls(ca, certificate, key))

    def close(self) -> None:
        """End it."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=2):
                    return
            except OSError:
                time.sleep(0.05)
        raise AssertionError((self.folder / "log").read_text("utf-8", "replace")[-2000:])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
