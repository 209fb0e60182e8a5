"""SageMaker's contract for containers, held by the program as a process of its own; and the endpoint's template."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

import deploy
from tests.cfn_lint import assert_clean

TEMPLATE = Path(deploy.__file__).with_name("recommendations.yaml")
CONTAINER = (sys.executable, "-P", "-m", "commerce.http.sagemaker")
SESSIONS = [["phone", "case", "charger"], ["phone", "case"], ["laptop", "mouse"]] * 5


def test_it_trains_serves_and_ends(tmp_path: Path) -> None:
    """As SageMaker starts it: `train` with data, then `serve` with the model, until SIGTERM."""
    data = tmp_path / "input" / "data" / "training"
    data.mkdir(parents=True)
    (data / "part-0.jsonl").write_text("".join(json.dumps(each) + "\n" for each in SESSIONS))
    subprocess.run([*CONTAINER, "train", "--root", str(tmp_path)], check=True, capture_output=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {**os.environ, "SAGEMAKER_BIND_TO_PORT": str(port)}
    serving = subprocess.Popen([*CONTAINER, "serve", "--root", str(tmp_path), "--host", "127.0.0.1"], env=environment)
    try:
        url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 60
        while True:
            try:
                assert httpx.get(f"{url}/ping", timeout=60).status_code == 200
                break
            except httpx.TransportError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        answer = httpx.post(
            f"{url}/invocations", json={"items": ["phone"], "n": 1}, headers={"x-forwarded-for": "1.2.3.4"}, timeout=60
        )
        assert (answer.status_code, answer.json()["items"]) == (200, ["case"])
        assert httpx.get(f"{url}/v1/recommendations", timeout=60).status_code == 404
    finally:
        serving.terminate()
    assert serving.wait(30) in (0, -15)


@pytest.mark.parametrize(("content", "reason"), [('{"a": 1}\n', "line 1"), ('["only-one"]\n', "two items")])
def test_a_failure_says_why_where_sagemaker_looks(tmp_path: Path, content: str, reason: str) -> None:
    data = tmp_path / "input" / "data" / "training"
    data.mkdir(parents=True)
    (data / "part-0.jsonl").write_text(content)
    done = subprocess.run([*CONTAINER, "train", "--root", str(tmp_path)], capture_output=True, check=False)
    assert done.returncode == 1
    assert reason in (tmp_path / "output" / "failure").read_text()


def test_the_template_is_known_to_the_service() -> None:
    """cfn-lint, and each property of model, configuration and endpoint by botocore's own models."""
    session = pytest.importorskip("botocore.session").get_session()
    import yaml

    assert_clean(TEMPLATE)
    loader = type("Loader", (yaml.SafeLoader,), {})
    loader.add_multi_constructor("!", lambda load, tag, node: f"{tag}")
    resources = yaml.load(TEMPLATE.read_text(), loader)["Resources"]
    model = session.get_service_model("sagemaker")
    for resource, operation in (("Model", "CreateModel"), ("EndpointConfig", "CreateEndpointConfig"), ("Endpoint", "CreateEndpoint")):  # fmt: skip # noqa: E501
        known = model.operation_model(operation).input_shape.members
        assert set(resources[resource]["Properties"]) <= set(known), resource
