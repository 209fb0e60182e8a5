"""The optional part of orders on AWS: its function on a real PostgreSQL, and its template by AWS's own tools."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy import orders_function
from tests import postgresql
from tests.commerce.examples import event, order

TEMPLATE = Path(orders_function.__file__).with_name("orders.yaml")
KEY = "a-key-of-the-shop-0001"


@pytest.fixture(scope="module")
def deployed() -> Iterator[None]:
    """The function's environment, with its secrets in moto's Secrets Manager and a PostgreSQL of ours."""
    moto = pytest.importorskip("moto", reason="pip install 'milepost[dev]'")
    with postgresql.cluster() as url, moto.mock_aws(), pytest.MonkeyPatch.context() as patch:
        name = "orders_function"
        user, _, place = postgresql.database(url, name).removeprefix("postgresql://").partition("@")
        host, _, port = place.partition("/")[0].partition(":")
        patch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        patch.setenv("AWS_ACCESS_KEY_ID", "none")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "none")
        import boto3

        client = boto3.client("secretsmanager")
        secrets = {"DATABASE_SECRET": {"username": user, "password": "not / asked:for"}, "KEYS_SECRET": {"shop": KEY}}
        for variable, secret in secrets.items():
            arn = client.create_secret(Name=variable, SecretString=json.dumps(secret))["ARN"]
            patch.setenv(variable, arn)
        for variable, value in {"HOST": host, "PORT": port, "NAME": name, "TLS": "disable"}.items():
            patch.setenv(f"DATABASE_{variable}", value)
        orders_function._app.cache_clear()
        yield
        orders_function._app.cache_clear()


def call(method: str, path: str, body: Any = None, key: str | None = KEY) -> tuple[int, Any]:
    """One request as an HTTP API hands it on (payload format 2.0)."""
    headers = {"content-type": "application/json", "host": "localhost"}
    given = {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {**headers, **({"authorization": f"Bearer {key}"} if key else {})},
        "requestContext": {"http": {"method": method, "sourceIp": "127.0.0.1"}, "stage": "$default"},
        "body": None if body is None else json.dumps(body),
        "isBase64Encoded": False,
    }
    answer = orders_function.handler(given, None)
    return answer["statusCode"], json.loads(answer["body"])


@pytest.mark.usefixtures("deployed")
def test_an_order_goes_its_way_in_postgresql() -> None:
    assert [call("POST", "/v1/orders", order())[0] for _ in range(2)] == [201, 200]
    assert call("POST", "/v1/orders/A-1/events", event("loaded"))[0] == 201
    status, found = call("GET", "/v1/orders/A-1")
    assert (status, found["state"], found["truck_id"], found["position"]) == (200, "loaded", "TRUCK-001", None)
    assert call("PUT", "/v1/customers/C-1", {"name": "Ada", "loyalty_tier": "gold"})[0] == 201
    view = call("GET", "/v1/customers/C-1")[1]
    assert (view["loyalty_tier"], view["order_count"]) == ("gold", 1)
    assert call("POST", "/v1/orders", order(currency="EURO"))[0] == 422


@pytest.mark.usefixtures("deployed")
def test_nobody_is_local_there() -> None:
    """An API's function sees addresses that a caller may choose."""
    assert call("POST", "/v1/orders", order("A-9"), key=None)[0] == 401
    assert call("GET", "/v1/customers/C-1", key="a-wrong-key-of-nobody")[0] == 401


def test_cfn_lint_finds_nothing_in_the_template(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("cfn-lint")
    if not program.exists():
        pytest.skip("cfn-lint is not installed: pip install 'milepost[dev]'")
    (tmp_path / "orders").mkdir()
    copy = tmp_path / "orders.yaml"
    copy.write_text(TEMPLATE.read_text())
    done = subprocess.run([program, "--include-checks", "I", "--", copy], capture_output=True, check=False)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()


def test_the_database_s_properties_are_those_of_the_service() -> None:
    """By botocore's own models: each property is a parameter of the call that CloudFormation makes."""
    session = pytest.importorskip("botocore.session").get_session()
    import yaml

    loader = type("Loader", (yaml.SafeLoader,), {})
    loader.add_multi_constructor("!", lambda load, tag, node: f"{tag}")
    resources = yaml.load(TEMPLATE.read_text(), loader)["Resources"]
    rds = session.get_service_model("rds")
    other = {"VPCSecurityGroups": "VpcSecurityGroupIds", "EnableCloudwatchLogsExports": "EnableCloudwatchLogsExports"}
    for resource, operation in (("Database", "CreateDBInstance"), ("Proxy", "CreateDBProxy")):
        known = rds.operation_model(operation).input_shape.members
        for name in resources[resource]["Properties"]:
            assert other.get(name, name) in known, f"{resource}.{name}"
