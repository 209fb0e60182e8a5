"""The optional part of the console on AWS: its template by cfn-lint, and deployed to ministack beside the main stack,
IAM enforced and asked over HTTP."""

import base64
import json
import re
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from collector.stores.dynamodb.tables import create_tables
from contract import timestamps
from contract.password_file import put_user
from deploy import console_function
from deploy.ministack import environment
from tests import ministack
from tests.cfn_lint import assert_clean
from tests.deploy.optional_stack import Api, deploy_optional
from tests.deploy.test_alerts import now_ms, store
from tests.local_aws import deployed

TEMPLATE = Path(console_function.__file__).with_name("console.yaml")
KEY = "a-read-key-of-24-letters-or-more"


def test_cfn_lint_finds_nothing_in_the_template(tmp_path: Path) -> None:
    (tmp_path / "console").mkdir()
    copy = tmp_path / "console.yaml"
    copy.write_text(TEMPLATE.read_text())
    assert_clean(copy)


def test_its_role_may_only_read_and_knows_no_stream() -> None:
    allowed = set(re.findall(r'"?((?:dynamodb|kinesis|secretsmanager|kms|sns|s3|lambda):\w+)"?', TEMPLATE.read_text()))
    reading = {"dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan"}
    assert allowed == {*reading, "secretsmanager:GetSecretValue", "kms:Decrypt"}


def filled(folder: Path, secret: str) -> str:
    """The secret that the stack makes, with a user and a key."""
    made = json.loads(secret)
    assert (made["users"], made["read_keys"], len(made["session_key"])) == ([], {}, 48)
    put_user(folder / "users", "ada", "operator", "correct horse")
    users = (folder / "users").read_text().splitlines()
    return json.dumps({**made, "users": users, "read_keys": {"wallboard": KEY}})


def test_the_function_answers_who_signs_in_or_has_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an HTTP API calls it, with cookies in a list of their own."""
    prefix, url = f"console-{uuid.uuid4().hex[:8]}", ministack.shared()
    create_tables(ministack.client(url), prefix)
    empty = json.dumps({"users": [], "read_keys": {}, "session_key": "s" * 48})
    made = ministack.client(url, "secretsmanager").create_secret(Name=prefix, SecretString=filled(tmp_path, empty))
    own = {"AWS_ENDPOINT_URL": url, "MILEPOST_STORE": f"dynamodb://{prefix}", "CONSOLE_SECRET": made["ARN"]}
    for name, value in {**ministack.CREDENTIALS, **own, "TMPDIR": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(tempfile, "tempdir", None)  # it is kept once it was asked for
    for kept in (console_function._app, console_function._reader, console_function._collector):
        kept.cache_clear()
    store(prefix, (3, 80), (2, 81), truck_id="SEEN")
    asked_and_answered(called)


def called(method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
    """The function's answer to a request of payload format 2.0."""
    cookie = headers.pop("cookie", None)
    given = {
        "version": "2.0",
        "rawPath": path.partition("?")[0],
        "rawQueryString": path.partition("?")[2],
        "cookies": [cookie] if cookie else [],
        "headers": {"host": "localhost", **{name.replace("_", "-"): value for name, value in headers.items()}},
        "requestContext": {"http": {"method": method, "sourceIp": "127.0.0.1"}, "stage": "$default"},
        "body": None if body is None else json.dumps(body),
        "isBase64Encoded": False,
    }
    answer = console_function.handler(given, None)
    content = base64.b64decode(answer["body"]) if answer["isBase64Encoded"] else answer["body"].encode()
    return httpx.Response(answer["statusCode"], headers=answer["headers"], content=content)


@pytest.mark.prove
def test_deployed_it_answers_as_the_function_does_with_a_role_that_may_only_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack, _ = deployed()
    for name, value in environment(stack.url).items():
        monkeypatch.setenv(name, value)
    outputs = deploy_optional(stack.client, "milepost-console", TEMPLATE.read_text(), {})
    secrets, name = stack.client("secretsmanager"), outputs["ConsoleSecret"]
    secret = filled(tmp_path, secrets.get_secret_value(SecretId=name)["SecretString"])
    secrets.put_secret_value(SecretId=name, SecretString=secret)
    store("milepost", (3, 80), (2, 81), truck_id="SEEN")
    asked_and_answered(Api(stack.url, stack.client, outputs["ConsoleUrl"], "milepost-console"))


def asked_and_answered(api: Callable[..., httpx.Response]) -> None:
    """What is asked of the console, of a store with a truck SEEN: of strangers, by a key, and signed in."""
    page = api("GET", "/truck/SEEN", accept_encoding="gzip")
    assert (page.status_code, "frame-ancestors" in page.headers["content-security-policy"]) == (200, True)
    assert "EventSource" in api("GET", "/static/pages/fleet.js", accept_encoding="gzip").text
    assert api("GET", "/api/v1/fleet").status_code == 401
    assert api("GET", "/api/v1/fleet", authorization=f"Bearer {KEY}x").status_code == 401

    key = f"Bearer {KEY}"
    assert api("GET", "/api/v1/me", authorization=key).json()["poll_seconds"] == console_function.POLL_SECONDS
    found = api("GET", "/api/v1/fleet", authorization=key, accept_encoding="gzip").json()
    assert "SEEN" in [row["truck_id"] for row in found["trucks"]]
    changes = api("GET", f"/api/v1/changes?since={found['cursor']}", authorization=key)
    assert set(changes.json()) == {"cursor", "whole", "trucks"}
    assert api("GET", "/api/v1/events", authorization=key).status_code == 404
    assert "deploy/orders.yaml" in api("GET", "/api/v1/orders", authorization=key).json()["error"]
    for path in ("/pipeline", "/alerts", "/shop/period", "/trucks/SEEN"):
        assert api("GET", f"/api/v1{path}", authorization=key).status_code == 200, path
    assert api("GET", "/api/v1/trucks/SEEN/signals", authorization=key).status_code == 403

    login = {"name": "ada", "password": "correct horse"}
    signed = api("POST", "/api/v1/sign-in", login, x_milepost="test").headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Secure"} <= set(signed.split("; "))
    cookie = signed.partition(";")[0]
    assert api("GET", "/api/v1/me", cookie=cookie).json()["role"] == "operator"
    assert api("GET", "/api/v1/me", cookie=cookie[:-1] + "x").status_code == 401
    past = timestamps.from_ms(now_ms() - 150_000)
    then = api("GET", f"/api/v1/fleet?at={past}", cookie=cookie).json()["trucks"]
    assert "SEEN" in [row["truck_id"] for row in then]
    told = api("POST", "/api/v1/alerts/nobody/acknowledge", cookie=cookie, x_milepost="test")
    assert (told.status_code, "milepost alerts ack nobody" in told.json()["error"]) == (404, True)
