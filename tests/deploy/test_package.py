"""The bundle: small, whole, the same each time, and it runs under Lambda's own runtime."""

import importlib.util
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from contract import timestamps
from contract.codec import dump
from deploy.ministack import environment
from deploy.package import here
from standalone.child_processes import Children
from tests.collector.handlers.conftest import message, minutes
from tests.collector.handlers.mapping import envelope
from tests.local_aws import deployed, sam_cli
from tests.processes import free_port

FUNCTIONS = ("telemetry", "clicks", "beacon", "repair", "archive")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    here(folder)
    return folder


@pytest.fixture(scope="module")
def brought(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Lambda's Python has: boto3 and what it needs."""
    folder = tmp_path_factory.mktemp("brought")
    for name in ("boto3", "botocore", "s3transfer", "jmespath", "urllib3", "dateutil", "six"):
        spec = importlib.util.find_spec(name)
        assert spec is not None
        origin = Path(str(spec.origin))
        source = origin.parent if origin.name == "__init__.py" else origin
        (folder / source.name).symlink_to(source)
    return folder


def test_every_function_imports_from_the_bundle_and_what_lambda_brings(
    built: Path, brought: Path, tmp_path: Path
) -> None:
    """Nothing of this clone, and of this environment only boto3 and what it needs; no client is built."""
    code = (
        f"import sys; sys.path[:0] = [{str(built / 'handlers')!r}]; sys.path.append({str(brought)!r})\n"
        "import importlib\n"
        f"for name in {FUNCTIONS}:\n"
        "    module = importlib.import_module('collector.handlers.' + name)\n"
        f"    assert module.__file__.startswith({str(built)!r})\n"
        "    assert callable(module.handler)\n"
        "assert 'boto3' not in sys.modules and 'sqlite3' not in sys.modules and 'typer' not in sys.modules\n"
        "import boto3, collector.stores.dynamodb\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], cwd=tmp_path, capture_output=True, check=False, env={}
    )
    assert done.returncode == 0, done.stderr.decode()


def test_the_same_sources_make_the_same_bundle(built: Path, tmp_path: Path) -> None:
    """An unchanged bundle is not deployed again, whoever makes it."""
    subprocess.run([sys.executable, "-m", "deploy.package", "--from-here", "--folder", str(tmp_path)], check=True)
    assert (tmp_path / "handlers.zip").read_bytes() == (built / "handlers.zip").read_bytes()


def test_it_is_small_and_says_nothing_of_this_machine(built: Path) -> None:
    """Far below Lambda's 250 MB; compiled files know no folder of ours."""
    files = [file for file in (built / "handlers").rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 50_000_000
    ours = str(Path(__file__).resolve().parents[2]).encode()
    assert not [file for file in files if ours in file.read_bytes() or str(built).encode() in file.read_bytes()]


def emulator() -> Path:
    """AWS's runtime interface emulator, as aws-sam-cli ships it."""
    machine = "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"
    root = sam_cli().resolve().parent.parent
    for found in root.glob(f"lib/python*/site-packages/samcli/local/rapid/aws-lambda-rie-{machine}"):
        return found
    pytest.skip(f"no emulator in {root}: is aws-sam-cli installed there?")


@contextmanager
def runtime(built: Path, tmp_path: Path, function: str, **variables: str) -> Iterator[str]:
    """The URL under which the function is invoked, in Lambda's own runtime."""
    if importlib.util.find_spec("awslambdaric") is None:
        pytest.skip("awslambdaric is not installed: pip install 'milepost[dev]'")
    program = tmp_path / "rie"
    shutil.copyfile(emulator(), program)
    program.chmod(0o755)
    port, inner = free_port(), free_port()
    environ = {
        "PATH": os.environ["PATH"],
        "AWS_LAMBDA_FUNCTION_NAME": f"milepost-{function}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "LAMBDA_TASK_ROOT": str(built / "handlers"),
        "POWERTOOLS_TRACE_DISABLED": "true",
        **variables,
    }
    argv = [
        "env", "-i", "-C", str(built / "handlers"), *(f"{name}={value}" for name, value in environ.items()),
        str(program),
        "--runtime-interface-emulator-address", f"127.0.0.1:{port}",
        "--runtime-api-address", f"127.0.0.1:{inner}",
        sys.executable, "-m", "awslambdaric", f"collector.handlers.{function}.handler",
    ]  # fmt: skip
    emulated = Children(tmp_path).spawn(argv, name="emulator", log=tmp_path / "log", death_signal=signal.SIGKILL)
    try:
        wait_for(port)
        yield f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
    finally:
        emulated.stop(10)


def wait_for(port: int) -> None:
    """Until the emulator listens; it starts the runtime at the first invocation."""
    deadline = time.monotonic() + 90
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, "the emulator did not start"
            time.sleep(0.05)
        else:
            return


def invoke(url: str, event: dict[str, Any]) -> Any:
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(event).encode()), timeout=60) as answer:
        return json.loads(answer.read())


def test_under_the_real_runtime_a_batch_ends_in_the_tables(built: Path, tmp_path: Path) -> None:
    """Lambda's own runtime client and API, the packaged code, DynamoDB: good, poison and again."""
    stack, _ = deployed()
    variables = {**environment(stack.url), "MILEPOST_STORE": "dynamodb://milepost"}
    records = [message(one, number, "RIE") for number, one in enumerate(lately(3))]
    with runtime(built, tmp_path, "telemetry", **variables) as url:
        assert invoke(url, {"Records": [*records, message(b"poison", 9, "RIE")]}) == {"batchItemFailures": []}
        assert invoke(url, {"Records": records}) == {"batchItemFailures": []}
    table = stack.client("dynamodb").query(
        TableName="milepost-samples",
        KeyConditionExpression="truck_id = :truck",
        ExpressionAttributeValues={":truck": {"S": "RIE"}},
        Select="COUNT",
    )
    assert table["Count"] == 3


def lately(count: int) -> list[dict[str, Any]]:
    """Samples of the last hours."""
    return [{**one, "truck_id": "RIE"} for one in minutes("RIE", range(1, count + 1))]


def click(event_id: str) -> dict[str, Any]:
    """A stream record with one shop event of now."""
    at = timestamps.from_ms(time.time_ns() // 1_000_000)
    event = {"event_id": event_id, "event_type": "click", "timestamp": at, "item_id": "rie"}
    return envelope(dump(event).encode(), 1, key="rie", arrived_ms=time.time_ns() // 1_000_000)


ARCHIVED = {
    "sourceKinesisStreamArn": "arn:aws:kinesis:us-east-1:000000000000:stream/milepost-clicks",
    "records": [{"recordId": "1", "data": "eyJJdGVtX0lEIjogMX0=", "approximateArrivalTimestamp": 1717243200000}],
}
ASKED = {
    "rawPath": "/healthz",
    "headers": {},
    "requestContext": {"http": {"method": "GET", "sourceIp": "192.0.2.1"}, "stage": "$default", "domainName": "b"},
}
EVENTS: dict[str, tuple[Callable[[], dict[str, Any]], Callable[[Any], bool]]] = {
    "telemetry": (
        lambda: {"Records": [message(lately(1)[0], 1, "RIE")]},
        lambda said: said == {"batchItemFailures": []},
    ),
    "clicks": (lambda: {"Records": [click("rie-1")]}, lambda said: said == {"batchItemFailures": []}),
    "beacon": (lambda: ASKED, lambda said: said["statusCode"] == 200),
    "repair": (dict, lambda said: said["failed"] == 0),
    "archive": (lambda: ARCHIVED, lambda said: said["records"][0]["result"] == "Ok"),
}
"""Function → an event for it, and whether its answer is right."""


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_real_runtime_runs_every_function(built: Path, tmp_path: Path, function: str) -> None:
    """From the bundle, and again warm. Prints what the first took, imports and connections and all (`pytest -s`)."""
    stack, _ = deployed()
    event, right = EVENTS[function]
    variables = {
        **environment(stack.url),
        "MILEPOST_STORE": "dynamodb://milepost",
        "TELEMETRY_STREAM": "milepost-telemetry",
        "CLICKS_STREAM": "milepost-clicks",
    }
    took = []
    with runtime(built, tmp_path, function, **variables) as url:
        for _ in range(2):
            begun = time.monotonic()
            answer = invoke(url, event())
            took.append((time.monotonic() - begun) * 1000)
            assert right(answer), answer
    print(f"{function}: cold start {took[0]:.0f} ms, then {took[1]:.0f} ms")


def test_a_traced_function_tells_x_ray(built: Path, brought: Path) -> None:
    """With the parameter Tracing active: Powertools' tracer, to the daemon that Lambda runs beside it.

    Called as Lambda would: the emulator hands no trace on.
    """
    code = (
        f"import sys; sys.path[:0] = [{str(built / 'handlers')!r}]; sys.path.append({str(brought)!r})\n"
        "from types import SimpleNamespace\n"
        "from collector.handlers.archive import handler\n"
        "context = SimpleNamespace(function_name='f', memory_limit_in_mb=1)\n"
        "context.aws_request_id, context.invoked_function_arn = '1', 'a'\n"
        f"handler({ARCHIVED!r}, context)\n"
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        daemon.settimeout(20)
        environ = {
            "AWS_REGION": "us-east-1",
            "AWS_LAMBDA_FUNCTION_NAME": "f",
            "LAMBDA_TASK_ROOT": str(built / "handlers"),
            "POWERTOOLS_TRACE_DISABLED": "false",
            "AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{daemon.getsockname()[1]}",
            "_X_AMZN_TRACE_ID": "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
        }
        done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, check=False, env=environ)
        assert done.returncode == 0, done.stderr.decode()
        told = daemon.recv(65_536)
    assert b"## handler" in told
    assert b"1-5759e988-bd862e3fe1be46a994272793" in told
