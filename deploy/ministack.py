"""AWS on this machine, for tests and trials: a ministack of our own with Milepost's own template deployed to it.

All runs as deployed, with one hop apart: ministack accepts a rule's Kinesis action and does not run it, so iot_rules
carries that (collector of `up --aws`, tests). Nothing here reaches beyond 127.0.0.1, and no real account can be meant:
the credentials are ministack's own.
"""

import hashlib
import importlib.util
import json
import os
import shutil
import signal
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from contract.errors import Misconfigured, Unreachable
from contract.ports import free_port
from deploy.package import here
from standalone.child_processes import Child, Children, reap

REGION = "us-east-1"
STACK = "milepost"
_START_SECONDS = 60.0
_STACK_SECONDS = 120.0
_STOP_SECONDS = 5.0
_SAVED = ("cloudformation", "dynamodb", "firehose", "iam", "iot", "kinesis", "lambda", "s3", "scheduler")
"""Services whose state makes a stack; ministack writes a file of each when it ends."""


def environment(url: str) -> dict[str, str]:
    """What makes boto3, anywhere, speak to the ministack at `url` and to nothing else."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


class Ministack:
    """One process on a free port; use it as a context. `folder` takes its log and its scratch files.

    It dies with the process that started it, however that ends. keep: what it holds is written to the folder when it is
    ended, and there again at the next start. It is not written while it runs, so a kill of its own loses it: `kept`.
    """

    def __init__(
        self, folder: Path, *, port: int = 0, settings: Mapping[str, str] | None = None, keep: bool = False
    ) -> None:
        if importlib.util.find_spec("ministack") is None:
            raise Misconfigured("AWS on this machine needs ministack: pip install 'ministack[full]'")
        self.folder = folder.absolute()
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._keep = keep
        self._settings = dict(settings or {})
        self._child: Child | None = None

    @property
    def kept(self) -> bool:
        """Before the start: did the last run end so that all it held is here. Ends first what a killed run left."""
        reap(self.folder)
        return all((self._state / f"{service}.json").exists() for service in _SAVED)

    @property
    def _state(self) -> Path:
        return self.folder / "state"

    def argv(self) -> list[str]:
        """How it is started."""
        return [sys.executable, "-P", "-m", "ministack"]

    def environ(self) -> dict[str, str]:
        """Its environment: AWS_ENDPOINT_URL reaches the functions that it runs."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MILEPOST_"))}
        return {
            **inherited,
            **environment(self.url),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{inherited.get('PATH', os.defpath)}",
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "LAMBDA_EXECUTOR": "local",
            "LOG_LEVEL": "INFO",
            "TMPDIR": str(self.folder / "scratch"),
            "STATE_DIR": str(self._state),
            "S3_DATA_DIR": str(self.folder / "s3"),
            "PERSIST_STATE": str(int(self._keep)),
            "S3_PERSIST": str(int(self._keep)),
            **self._settings,
        }

    def __enter__(self) -> "Ministack":
        scratch = self.folder / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        given = [f"{name}={value}" for name, value in self.environ().items()]
        self._child = Children(self.folder).spawn(
            ["env", "-i", *given, *self.argv()],
            name="ministack",
            log=self.folder / "ministack.log",
            death_signal=signal.SIGTERM if self._keep else signal.SIGKILL,
        )
        try:
            self.wait_until_ready()
        except BaseException:
            self.stop()
            raise
        for file in self._state.glob("*.json"):  # it has them in memory: what lies there at a start is of a clean end
            file.unlink()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def wait_until_ready(self) -> None:
        """Raises Unreachable where it has ended or does not answer."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._child is not None and self._child.alive:
            try:
                with urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=2):
                    return
            except OSError:
                time.sleep(0.05)
        raise Unreachable(f"ministack did not start: see {self.folder / 'ministack.log'}")

    def stop(self) -> None:
        """End the process, and with it all that it held, unless that is kept."""
        if self._child is not None:
            self._child.stop(_STOP_SECONDS)

    def client(self, service: str) -> Any:
        """A boto3 client of this ministack."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 2}, read_timeout=120),
        )


def deploy(stack: Ministack, parameters: Mapping[str, str] | None = None, *, name: str = STACK) -> dict[str, str]:
    """Package for this machine, deploy the template through CloudFormation, and wait.

    The same template as for AWS: where the bundle lies is filled in, as `sam deploy` does, and the archive is not
    judged by the markers of `milepost forget`. A stack that is there is updated.

    Args:
        stack: the ministack, which runs.
        parameters: of the template.
        name: the stack's.

    Returns:
        The stack's outputs.

    Raises:
        Unreachable: it was not deployed; the message has CloudFormation's reasons.
    """
    bundle, template = here(stack.folder / "package")
    s3, cloudformation = stack.client("s3"), stack.client("cloudformation")
    code = bundle.read_bytes()
    key = f"{hashlib.sha256(code).hexdigest()[:32]}.zip"
    s3.create_bucket(Bucket="milepost-artifacts")
    s3.put_object(Bucket="milepost-artifacts", Key=key, Body=code)
    document = json.loads(template.read_text(encoding="utf-8"))
    document["Globals"]["Function"]["CodeUri"] = f"s3://milepost-artifacts/{key}"
    # ministack answers nobody while it runs Firehose's function, so this one may not ask it whom to forget.
    document["Resources"]["ArchiveFunction"]["Properties"].pop("Environment")
    s3.put_object(Bucket="milepost-artifacts", Key=f"{key}.json", Body=json.dumps(document).encode())
    wanted = {"HttpDoor": "url", **(parameters or {})}  # its HTTP API is found by a host name that is not ours
    given = [{"ParameterKey": name, "ParameterValue": value} for name, value in wanted.items()]
    change = cloudformation.update_stack if _stack(cloudformation, name) else cloudformation.create_stack
    try:
        change(
            StackName=name,
            TemplateURL=f"https://s3.amazonaws.com/milepost-artifacts/{key}.json",  # a body has 51,200 bytes at most
            Parameters=given,
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
    except cloudformation.exceptions.ClientError as error:
        if "No updates are to be performed" not in str(error):
            raise
    deadline = time.monotonic() + _STACK_SECONDS
    while (found := _stack(cloudformation, name))["StackStatus"].endswith("_PROGRESS") and time.monotonic() < deadline:
        time.sleep(0.2)
    if found["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        raise Unreachable(f"the stack was not deployed: {_reasons(cloudformation, name)}")
    return {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}


def _stack(cloudformation: Any, name: str) -> dict[str, Any]:
    """What CloudFormation tells of the stack; empty where there is none."""
    try:
        found: dict[str, Any] = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except cloudformation.exceptions.ClientError:
        return {}
    return found


def _reasons(cloudformation: Any, name: str) -> str:
    events = cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    failed = [event for event in events if "FAILED" in event.get("ResourceStatus", "")]
    return "; ".join(f"{each['LogicalResourceId']}: {each.get('ResourceStatusReason', '?')}" for each in failed)


def function_url(stack: Ministack, url: str) -> str:
    """A function URL by path: its own host name is not ours to resolve."""
    return f"{stack.url}/_aws/lambda-url/{url.removeprefix('https://').split('.', 1)[0]}"
