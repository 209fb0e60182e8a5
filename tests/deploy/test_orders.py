"""The optional part of orders on AWS: its function on a real PostgreSQL, and its template by AWS's own tools."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from deploy import orders_function
from tests import ministack, postgresql
from tests.cfn_lint import assert_clean
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


def _bundle() -> bytes:
    """The rooms that the function needs; the libraries are those of the environment in which ministack runs it."""
    held = io.BytesIO()
    root = TEMPLATE.parents[1]
    with zipfile.ZipFile(held, "w") as archive:
        for room in ("alerts", "collector", "commerce", "console", "contract", "deploy", "provisioning", "standalone"):
            for file in (root / room).rglob("*"):
                if file.suffix in (".py", ".json", ".toml", ".sql", ".txt") and file.is_file():
                    archive.write(file, file.relative_to(root))
    return held.getvalue()


@pytest.mark.prove
def test_an_order_comes_through_an_http_api_to_a_postgresql(tmp_path: Path) -> None:
    """ministack's API and function, our database: a repeat is known, nobody without a key is heard."""
    with postgresql.cluster() as url, ministack.running(tmp_path) as cloud:
        name = "orders_api"
        user, _, place = postgresql.database(url, name).removeprefix("postgresql://").partition("@")
        host, _, port = place.partition("/")[0].partition(":")
        secrets = ministack.client(cloud, "secretsmanager")
        told = {"DATABASE_SECRET": {"username": user, "password": "x"}, "KEYS_SECRET": {"shop": KEY}}
        variables = {
            "DATABASE_HOST": host, "DATABASE_PORT": port, "DATABASE_NAME": name, "DATABASE_TLS": "disable",
            **{each: secrets.create_secret(Name=each, SecretString=json.dumps(it))["ARN"] for each, it in told.items()},
        }  # fmt: skip
        made = ministack.client(cloud, "lambda").create_function(
            FunctionName="orders", Runtime="python3.13", Handler="deploy.orders_function.handler", Timeout=60,
            Role="arn:aws:iam::000000000000:role/orders", Code={"ZipFile": _bundle()},
            Environment={"Variables": variables},
        )  # fmt: skip
        api = ministack.client(cloud, "apigatewayv2")
        found = api.create_api(Name="orders", ProtocolType="HTTP")["ApiId"]
        behind = api.create_integration(
            ApiId=found, IntegrationType="AWS_PROXY", IntegrationUri=made["FunctionArn"], PayloadFormatVersion="2.0"
        )
        api.create_route(ApiId=found, RouteKey="$default", Target=f"integrations/{behind['IntegrationId']}")
        api.create_stage(ApiId=found, StageName="$default", AutoDeploy=True)
        headers = {"host": f"{found}.execute-api.localhost", "authorization": f"Bearer {KEY}"}
        with httpx.Client(base_url=cloud, headers=headers, timeout=90) as shop:
            answers = [shop.post("/v1/orders", json=order()) for _ in range(2)]
            assert [each.status_code for each in answers] == [201, 200], [each.text for each in answers]
            assert shop.post("/v1/orders/A-1/events", json=event("loaded")).status_code == 201
            asked = shop.get("/v1/orders/A-1").json()
            assert (asked["state"], asked["truck_id"]) == ("loaded", "TRUCK-001")
            assert shop.post("/v1/orders", json=order("A-2"), headers={"authorization": "Bearer x"}).status_code == 401
        with psycopg.connect(url.rpartition("/")[0] + "/" + name) as connection:
            assert connection.execute("SELECT count(*) FROM order_contents").fetchone() == (1,)


def test_cfn_lint_finds_nothing_in_the_template(tmp_path: Path) -> None:
    (tmp_path / "orders").mkdir()
    copy = tmp_path / "orders.yaml"
    copy.write_text(TEMPLATE.read_text())
    assert_clean(copy)


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
