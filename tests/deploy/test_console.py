"""The optional part of the console on AWS: its template by cfn-lint, and deployed to ministack beside the main stack,
IAM enforced and asked over HTTP."""

import json
import re
from pathlib import Path

import pytest

from contract import timestamps
from contract.password_file import put_user
from deploy import console_function
from deploy.ministack import environment
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


def test_deployed_it_answers_who_signs_in_or_has_a_key_and_pages_poll(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack, _ = deployed()
    for name, value in environment(stack.url).items():
        monkeypatch.setenv(name, value)
    outputs = deploy_optional(stack.client, "milepost-console", TEMPLATE.read_text(), {})
    put_user(tmp_path / "users", "ada", "operator", "correct horse")
    secrets = stack.client("secretsmanager")
    secret = json.loads(secrets.get_secret_value(SecretId=outputs["ConsoleSecret"])["SecretString"])
    assert (secret["users"], secret["read_keys"], len(secret["session_key"])) == ([], {}, 48)
    secret |= {"users": (tmp_path / "users").read_text().splitlines(), "read_keys": {"wallboard": KEY}}
    secrets.put_secret_value(SecretId=outputs["ConsoleSecret"], SecretString=json.dumps(secret))
    store("milepost", (3, 80), (2, 81), truck_id="SEEN")
    api = Api(stack.url, stack.client, outputs["ConsoleUrl"], "milepost-console")

    page = api("GET", "/truck/SEEN", accept_encoding="gzip")
    assert page.status_code == 200, page.text
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
    for path in ("/pipeline", "/alerts", "/shop/period", "/dead-letters", "/trucks/SEEN"):
        assert api("GET", f"/api/v1{path}", authorization=key).status_code == 200, path
    assert api("GET", "/api/v1/trucks/SEEN/signals", authorization=key).status_code == 403

    login = {"name": "ada", "password": "correct horse"}
    assert api("POST", "/api/v1/sign-in", {**login, "password": "wrong"}, x_milepost="test").status_code == 401
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
