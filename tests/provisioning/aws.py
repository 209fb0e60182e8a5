"""A ministack process of these tests' own: free loopback ports, policies enforced, stopped by its process id."""

import importlib.util
import ssl
import sys
import urllib.request
from pathlib import Path

from deploy import ministack
from provisioning.registry.aws import AwsRegistry
from provisioning.settings import ProvisioningSettings
from tests.processes import free_port
from tests.tls import wait_for_handshake

ROOT = Path(__file__).resolve().parents[2]
INSTALLED = importlib.util.find_spec("ministack") is not None
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


class Ministack(ministack.Ministack):
    """Start it as a context; it ends with the test process, however that ends."""

    def __init__(self, folder: Path) -> None:
        self.mqtt_port = free_port()
        settings = {
            "AUTH": "true",
            "HOME": str(folder),
            "IOT_MTLS_ENABLED": "1",
            "IOT_MTLS_PORT": str(self.mqtt_port),
            "PYTHONPATH": str(ROOT),
        }
        super().__init__(folder, settings=settings)

    def argv(self) -> list[str]:
        return [sys.executable, "-m", "tests.provisioning.ministack_on_loopback"]

    def __enter__(self) -> "Ministack":
        super().__enter__()
        ca = urllib.request.urlopen(f"{self.url}/_ministack/iot/ca.pem", timeout=60).read()
        (self.folder / "ca.pem").write_bytes(ca)
        wait_for_handshake(self.mqtt_port, ssl.create_default_context(cafile=self.folder / "ca.pem"))
        return self

    @property
    def log(self) -> str:
        return (self.folder / "ministack.log").read_text(errors="replace")

    def settings(self, prefix: str) -> ProvisioningSettings:
        return ProvisioningSettings(
            registry="aws",
            prefix=prefix,
            region="us-east-1",
            endpoint_url=self.url,
            endpoint=f"mqtts://localhost:{self.mqtt_port}",
            ca=self.folder / "ca.pem",
            requests_per_second=400,
            rules=("milepost_telemetry",),
        )

    def registry(self, folder: Path, prefix: str = "milepost") -> AwsRegistry:
        return AwsRegistry(self.settings(prefix), folder)
