"""The order door as AWS has it, but for RDS: HTTP API → function → a real PostgreSQL, the first two by ministack."""

import io
import json
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests import ministack, postgresql
from tests.commerce.examples import order

KEY = "a-key-of-the-shop-0002"
Call = Callable[..., tuple[int, Any]]
_BUNDLE = "from deploy.orders_function import handler\n"


def _function(url: str, variables: dict[str, str]) -> str:
    """The function's ARN; its bundle finds the rest in this environment."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as bundle:
        bundle.writestr("orders.py", _BUNDLE)
    made = ministack.client(url, "lambda").create_function(
        FunctionName="orders-api",
        Runtime=f"python3.{sys.version_info.minor}",
        Role="arn:aws:iam::000000000000:role/orders",
        Handler="orders.handler",
        Code={"ZipFile": packed.getvalue()},
        Timeout=30,
        Environment={"Variables": variables},
    )
    return str(made["FunctionArn"])


def _api(url: str, function: str) -> str:
    client = ministack.client(url, "apigatewayv2")
    api: str = client.create_api(Name="orders", ProtocolType="HTTP")["ApiId"]
    integration = client.create_integration(
        ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=function, PayloadFormatVersion="2.0"
    )["IntegrationId"]
    client.create_route(ApiId=api, RouteKey="$default", Target=f"integrations/{integration}")
    client.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
    return api


@pytest.fixture(scope="module")
def call() -> Iterator[Call]:
    """A request to the API, which is found by its host name."""
    with postgresql.cluster() as server:
        url = ministack.shared()
        user, _, place = postgresql.database(server, "orders_api").removeprefix("postgresql://").partition("@")
        host, _, port = place.partition("/")[0].partition(":")
        secrets = ministack.client(url, "secretsmanager")
        kept = {"DATABASE_SECRET": {"username": user, "password": "not / asked:for"}, "KEYS_SECRET": {"shop": KEY}}
        named = {
            variable: secrets.create_secret(Name=f"orders-api-{variable}", SecretString=json.dumps(secret))["ARN"]
            for variable, secret in kept.items()
        }
        database = {
            "DATABASE_HOST": host, "DATABASE_PORT": port, "DATABASE_NAME": "orders_api", "DATABASE_TLS": "disable",
        }  # fmt: skip
        api = _api(url, _function(url, {**named, **database}))

        def asked(method: str, path: str, body: Any = None, key: str | None = KEY) -> tuple[int, Any]:
            headers = {"content-type": "application/json", "host": f"{api}.execute-api.localhost"}
            headers |= {"authorization": f"Bearer {key}"} if key else {}
            data = None if body is None else json.dumps(body).encode()
            request = urllib.request.Request(url + path, data=data, headers=headers, method=method)
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    return answer.status, json.loads(answer.read())
            except urllib.error.HTTPError as error:
                return error.code, json.loads(error.read() or b"null")

        yield asked


def test_an_order_is_taken_once_and_read_back_by_its_key_alone(call: Call) -> None:
    placed = order()
    assert call("POST", "/v1/orders", placed)[0] == 201
    status, again = call("POST", "/v1/orders", placed)
    assert (status, again["status"]) == (200, "duplicate")
    status, found = call("GET", f"/v1/orders/{placed['order_id']}")
    assert (status, found["order_id"]) == (200, placed["order_id"])
    assert call("GET", f"/v1/orders/{placed['order_id']}", key=None)[0] in (401, 403, 404)
    assert call("POST", "/v1/orders", placed, key="another-key-entirely-0003")[0] in (401, 403)
