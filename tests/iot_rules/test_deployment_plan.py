"""Deployment: the account's rules become the documents', and a second time nothing changes."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from iot_rules.cli import app
from iot_rules.deployment_plan import plan
from iot_rules.engine import load_documents

ROOT = Path(__file__).resolve().parents[2]
GIVEN = ["--role-arn", "arn:aws:iam::123456789012:role/rules", "--errors-bucket", "errors"]
NAMES = [rule.name for rule in load_documents()]


def deploy(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["deploy", *arguments])


def changes(*arguments: str) -> dict[str, str]:
    result = deploy(*GIVEN, *arguments, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["dry_run"] == ("--dry-run" in arguments)
    return {each["rule_name"]: each["action"] for each in document["changes"]}


@pytest.fixture
def iot(ministack: str, aws: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An account without rules. ministack's, since moto knows no tags of rules."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack)
    client = aws("iot")
    yield client
    for rule in client.list_topic_rules()["rules"]:
        client.delete_topic_rule(ruleName=rule["ruleName"])


def tags_of(iot: Any, name: str) -> dict[str, str]:
    arn = iot.get_topic_rule(ruleName=name)["ruleArn"]
    return {tag["Key"]: tag["Value"] for tag in iot.list_tags_for_resource(resourceArn=arn)["tags"]}


def test_an_empty_account_gets_every_rule_and_then_nothing_changes(iot: Any) -> None:
    assert changes("--dry-run") == dict.fromkeys(NAMES, "create")
    assert iot.list_topic_rules()["rules"] == []
    assert changes() == dict.fromkeys(NAMES, "create")
    deployed = iot.get_topic_rule(ruleName="milepost_telemetry")["rule"]
    assert deployed["sql"] == load_documents()[2].sql
    assert deployed["actions"][0]["kinesis"]["roleArn"] == GIVEN[1]
    assert deployed["errorAction"]["s3"]["bucketName"] == "errors"
    assert changes() == dict.fromkeys(NAMES, "unchanged")


def test_what_differs_is_replaced_and_what_is_no_more_is_deleted(iot: Any, tmp_path: Path) -> None:
    changes()
    stranger = {"sql": "SELECT * FROM 'x'", "actions": []}
    iot.create_topic_rule(ruleName="milepost_gone", topicRulePayload=stranger, tags="milepost%3Astack=milepost")
    iot.create_topic_rule(ruleName="another_teams", topicRulePayload=stranger)
    iot.replace_topic_rule(ruleName="milepost_status", topicRulePayload=stranger)
    expected = {**dict.fromkeys(NAMES, "unchanged"), "milepost_status": "replace", "milepost_gone": "delete"}
    assert changes("--dry-run") == expected
    assert deploy(*GIVEN, "--dry-run", "--exit-code").exit_code == 2
    assert list(changes()) == [*NAMES, "milepost_gone"]  # deletions last
    kept = deploy(*GIVEN)
    assert "kept          milepost_gone" in kept.output  # nobody said that it may go
    assert changes("--yes") == {**dict.fromkeys(NAMES, "unchanged"), "milepost_gone": "delete"}
    assert deploy(*GIVEN, "--dry-run", "--exit-code").exit_code == 0
    assert changes() == dict.fromkeys(NAMES, "unchanged")
    left = {rule["ruleName"] for rule in iot.list_topic_rules()["rules"]}
    assert left == {*NAMES, "another_teams"}


def test_a_rule_that_this_deployment_has_not_made_is_never_deleted_nor_changed(iot: Any) -> None:
    changes()
    assert tags_of(iot, "milepost_status") == {"milepost:stack": "milepost"}
    stranger = {"sql": "SELECT * FROM 'x'", "actions": []}
    iot.create_topic_rule(ruleName="milepost_by_hand", topicRulePayload=stranger)
    iot.create_topic_rule(ruleName="milepost_north", topicRulePayload=stranger, tags="milepost%3Astack=north")
    foreign = {"milepost_by_hand": "foreign", "milepost_north": "foreign"}
    assert changes("--yes") == {**dict.fromkeys(NAMES, "unchanged"), **foreign}
    assert deploy(*GIVEN, "--dry-run", "--exit-code").exit_code == 0
    refused = deploy(*GIVEN, "--stack", "north", "--yes")
    assert (refused.exit_code, "belongs to the stack 'milepost'" in refused.stderr) == (2, True)
    assert {rule["ruleName"] for rule in iot.list_topic_rules()["rules"]} == {*NAMES, *foreign}


def test_rules_of_the_release_before_are_given_the_tag(iot: Any) -> None:
    changes()
    arn = iot.get_topic_rule(ruleName="milepost_status")["ruleArn"]
    iot.untag_resource(resourceArn=arn, tagKeys=["milepost:stack"])
    assert changes()["milepost_status"] == "adopt"
    assert tags_of(iot, "milepost_status") == {"milepost:stack": "milepost"}
    assert changes() == dict.fromkeys(NAMES, "unchanged")


def test_a_rule_switched_off_by_hand_is_switched_on_again(iot: Any) -> None:
    changes()
    iot.disable_topic_rule(ruleName="milepost_report")
    result = deploy(*GIVEN, "--dry-run")
    assert "would enable  milepost_report  (ruleDisabled)\n" in result.output
    result = deploy(*GIVEN)
    assert "enabled       milepost_report  (ruleDisabled)\n" in result.output
    assert iot.get_topic_rule(ruleName="milepost_report")["rule"]["ruleDisabled"] is False


def test_a_rule_whose_document_is_disabled_is_switched_off(iot: Any, tmp_path: Path) -> None:
    changes()
    for rule in load_documents():
        document = json.loads(json.dumps(rule.document))
        document["topicRulePayload"]["ruleDisabled"] = rule.name == "milepost_status"
        (tmp_path / f"{rule.name}.json").write_text(json.dumps(document))
    assert changes("--documents", str(tmp_path))["milepost_status"] == "disable"
    assert changes("--documents", str(tmp_path))["milepost_status"] == "unchanged"


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        ([], "--role-arn, or role_arn in [iot_rules]"),
        (GIVEN[:2], "--errors-bucket, or errors_bucket in [iot_rules]"),
    ],
)
def test_a_placeholder_without_a_value_exits_2(iot: Any, arguments: list[str], remedy: str) -> None:
    result = deploy(*arguments)
    assert (result.exit_code, iot.list_topic_rules()["rules"]) == (2, [])
    assert remedy in result.stderr


def test_placeholders_come_from_settings(iot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "milepost.toml"
    config.write_text('[iot_rules]\nrole_arn = "arn:role"\n')
    monkeypatch.setenv("MILEPOST_IOT_RULES__ERRORS_BUCKET", "from-environment")
    assert deploy("--config", str(config)).exit_code == 0
    rule = iot.get_topic_rule(ruleName="milepost_status")["rule"]
    assert rule["errorAction"]["s3"]["roleArn"] == "arn:role"
    assert rule["errorAction"]["s3"]["bucketName"] == "from-environment"


def document(name: str, sql: str, **more: Any) -> dict[str, Any]:
    s3 = {"s3": {"roleArn": "arn:aws:iam::123456789012:role/rules", "bucketName": "b", "key": "${newuuid()}"}}
    payload = {"sql": sql, "awsIotSqlVersion": "2016-03-23", "actions": [s3], "errorAction": s3, **more}
    return {"ruleName": name, "topicRulePayload": payload}


@pytest.mark.parametrize(
    ("written", "code", "said"),
    [
        (("other", "SELECT * FROM 'fleet/+/report'"), 2, "milepost_…"),
        (("milepost_x", "SELECT nope() FROM 'fleet/+/report'"), 2, "there is no function nope()"),
        (("milepost_x", "SELECT * FROM 'nowhere'"), 1, "can match nothing that the fleet publishes"),
        (("milepost_x", "SELECT '<MILEPOST_NOPE>' AS n FROM 'fleet/+/report'"), 2, "<MILEPOST_NOPE> has no value"),
    ],
)
def test_a_document_that_is_wrong_is_not_deployed(
    iot: Any, tmp_path: Path, written: tuple[str, str], code: int, said: str
) -> None:
    (tmp_path / "a.json").write_text(json.dumps(document("milepost_a", "SELECT * FROM 'fleet/+/telemetry'")))
    (tmp_path / "x.json").write_text(json.dumps(document(*written)))
    result = deploy(*GIVEN, "--documents", str(tmp_path))
    assert result.exit_code == code
    assert said in result.stderr
    assert iot.list_topic_rules()["rules"] == []


def test_documents_that_are_wrong_only_together_are_not_deployed(iot: Any, tmp_path: Path) -> None:
    """Two rules that feed each other would go round for ever."""
    for name, here, there in (("milepost_a", "telemetry", "status"), ("milepost_b", "status", "telemetry")):
        written = document(name, f"SELECT * FROM 'fleet/+/{here}'")
        role = "arn:aws:iam::123456789012:role/rules"
        written["topicRulePayload"]["actions"] = [{"republish": {"roleArn": role, "topic": f"fleet/x/{there}"}}]
        (tmp_path / f"{name}.json").write_text(json.dumps(written))
    result = deploy(*GIVEN, "--documents", str(tmp_path))
    assert (result.exit_code, "messages go round for ever" in result.stderr) == (1, True)
    assert iot.list_topic_rules()["rules"] == []


@pytest.mark.parametrize(("answer", "stays"), [(b"n\n", True), (b"\n", True), (b"\x04", True), (b"y\n", False)])
def test_before_a_deletion_it_asks_and_only_yes_deletes(iot: Any, tmp_path: Path, answer: bytes, stays: bool) -> None:
    """In a terminal; without one it stays, too, and with --yes it goes (above). The rest of the plan is done."""
    for name in ("milepost_gone", "milepost_kept"):
        (tmp_path / f"{name}.json").write_text(json.dumps(document(name, "SELECT * FROM 'fleet/+/report'")))
    changes("--documents", str(tmp_path))
    (tmp_path / "milepost_gone.json").unlink()
    (tmp_path / "milepost_new.json").write_text(json.dumps(document("milepost_new", "SELECT * FROM 'fleet/+/status'")))
    terminal, inside = pty.openpty()
    command = [sys.executable, "-m", "milepost", "rules", "deploy", *GIVEN, "--documents", str(tmp_path)]
    process = subprocess.Popen(command, stdin=inside, stderr=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
    os.close(inside)
    os.write(terminal, answer)
    out, err = process.communicate(timeout=90)
    os.close(terminal)
    assert (process.returncode, b"delete milepost_gone, which no document names?" in err) == (0, True), (out, err)
    deployed = {rule["ruleName"] for rule in iot.list_topic_rules()["rules"]}
    assert deployed == {"milepost_kept", "milepost_new"} | ({"milepost_gone"} if stays else set())


def test_an_account_that_cannot_be_reached_exits_3() -> None:
    result = deploy(*GIVEN, "--endpoint-url", "http://127.0.0.1:9")
    assert result.exit_code == 3
    assert "cannot be reached" in result.stderr


def test_old_and_new_values_are_shown(iot: Any) -> None:
    changes()
    stranger = {"sql": "SELECT * FROM 'x'", "actions": []}
    iot.replace_topic_rule(ruleName="milepost_status", topicRulePayload=stranger)
    result = deploy(*GIVEN, "--dry-run")
    assert "  sql\n    - SELECT * FROM 'x'\n    + SELECT encode(*, 'base64') AS data" in result.output
    told = json.loads(deploy(*GIVEN, "--dry-run", "--json").stdout)["changes"]
    (status,) = [each for each in told if each["rule_name"] == "milepost_status"]
    assert status["values"]["sql"]["old"] == "SELECT * FROM 'x'"
    assert status["applied"] is False


def test_what_aws_fills_in_is_no_difference() -> None:
    topic = {"roleArn": "r", "topic": "t"}
    deployed = {"milepost_x": {"sql": "s", "actions": [{"republish": {**topic, "qos": 0, "headers": {}}}]}}
    (change,) = plan(
        {"milepost_x": {"sql": "s", "actions": [{"republish": topic}]}}, deployed, {"milepost_x": "s"}, "s"
    )
    assert change.action == "replace"  # headers: an empty object is not what AWS IoT fills in
    deployed["milepost_x"]["actions"][0]["republish"]["headers"] = None  # type: ignore[index]
    (change,) = plan(
        {"milepost_x": {"sql": "s", "actions": [{"republish": topic}]}}, deployed, {"milepost_x": "s"}, "s"
    )
    assert change.action == "unchanged"


def test_defaults_are_no_difference() -> None:
    deployed = {"milepost_x": {"sql": "s", "actions": [], "ruleDisabled": False, "description": None, "createdAt": 1}}
    (change,) = plan({"milepost_x": {"sql": "s"}}, deployed, {"milepost_x": "s"}, "s")
    assert change.action == "unchanged"


def test_ministack_takes_the_documents_too(ministack: str, aws: Callable[[str], Any]) -> None:
    at = ["--endpoint-url", ministack]
    assert changes(*at) == dict.fromkeys(NAMES, "create")
    assert changes(*at) == dict.fromkeys(NAMES, "unchanged")
    aws("iot").delete_topic_rule(ruleName="milepost_status")
    assert changes(*at)["milepost_status"] == "create"
    for name in NAMES:
        aws("iot").delete_topic_rule(ruleName=name)
