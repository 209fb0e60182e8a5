"""A ministack process of these tests' own: free loopback ports, policies enforced, stopped by its process id."""

import importlib.util
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

from provisioning.registry.aws import AwsRegistry
from provisioning.settings import ProvisioningSettings
from tests.provisioning.broker import free_port, until

ROOT = Path(__file__).resolve().parents[2]
INSTALLED = importlib.util.find_spec("ministack") is not None
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


class Ministack:
    """Start it as a context."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.mqtt_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Ministack":
        settings = {
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "IOT_MTLS_PORT": str(self.mqtt_port),
            "LAMBDA_EXECUTOR": "local",
            "AUTH": "true",
            "LOG_LEVEL": "INFO",
            "TMPDIR": str(self.folder),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            **CREDENTIALS,
        }
        argv = [sys.executable, "-m", "tests.provisioning.ministack_on_loopback"]
        with (self.folder / "ministack.log").open("wb") as log:
            self.process = subprocess.Popen(argv, cwd=ROOT, env=settings, stdout=log, stderr=log)
        until(self._ready, 40)
        ca = urllib.request.urlopen(f"{self.url}/_ministack/iot/ca.pem", timeout=10).read()
        (self.folder / "ca.pem").write_bytes(ca)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def _ready(self) -> bool:
        assert self.process
        assert self.process.poll() is None, self.log
        try:
            with urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

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
