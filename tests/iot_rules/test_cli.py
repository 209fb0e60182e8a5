"""The commands: exit codes, --json, carets."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from iot_rules.cli import app


def rules(*arguments: str, stdin: str | bytes = "") -> Result:
    return CliRunner().invoke(app, list(arguments), input=stdin)


def cases(tmp_path: Path, *given: dict[str, Any]) -> str:
    file = tmp_path / "cases.jsonl"
    file.write_text("\n\n".join(json.dumps(case) for case in given))
    return str(file)


GOOD = {"id": "good", "sql": "SELECT a FROM 't'", "topic": "t", "payload": {"a": 1}, "expect": {"a": 1.0}, "page": "x"}
BAD = {**GOOD, "id": "bad", "expect": {"a": 2}}


def test_test_counts_and_names_failures(tmp_path: Path) -> None:
    result = rules("test", cases(tmp_path, GOOD, BAD))
    assert result.exit_code == 1
    assert "FAILED bad" in result.output
    assert result.output.endswith("1 passed, 1 failed\n")


def test_test_json_is_one_document(tmp_path: Path) -> None:
    result = rules("test", cases(tmp_path, GOOD, BAD), "--json")
    document = json.loads(result.stdout)
    assert (document["passed"], document["failed"]) == (1, 1)
    assert document["failures"][0]["case_id"] == "bad"
    assert document["failures"][0]["actual"] == {"a": 1}


@pytest.mark.parametrize(
    ("changes", "passes"),
    [
        ({"expect": {"a": True}}, False),
        ({"expect": {"a": "1"}}, False),
        ({"expect": {"a": 1, "b": {"$undefined": True}}}, True),
        ({"expect": {"$no_match": True}}, False),
        ({"topic": "u", "expect": {"$no_match": True}}, True),
        ({"sql": "SELECT VALUE b FROM 't'", "expect": {"$undefined": True}}, True),
        ({"sql": "SELECT VALUE b FROM 't'", "expect": {}}, False),
        ({"sql": "SELECT VALUE b FROM 't'", "expect": None}, False),
        ({"sql": "SELECT b FROM 't'", "expect": {}}, True),
        ({"sql": "SELECT 0.1 AS a FROM 't'", "expect": {"a": 0.1}}, True),
        ({"sql": "SELECT 0.1 + 0.2 AS a FROM 't'", "expect": {"a": 0.30000000000000004}}, False),
        ({"sql": "SELECT * FROM 't'", "payload": {"$base64": "/w=="}, "expect": {"$base64": "/w=="}}, True),
        ({"sql": "SELECT * FROM 't'", "payload": {"$text": "hi"}, "expect": {"$base64": "aGk="}}, True),
        ({"sql": "SELECT * FROM 't'", "payload": {"$text": "80"}, "expect": 80}, True),
        ({"template": "${a}", "expect": "1"}, True),
        ({"template": "${a}", "expect": 1}, False),
        ({"template": "${b}", "expect": {"$undefined": True}}, True),
        ({"sql": "SELECT nope() FROM 't'"}, False),
        ({"sql": "SELECT aws_lambda('arn', a) AS a FROM 't'"}, False),
        ({"sql": "SELECT get_or_default(aws_lambda('arn', a), 1) AS a FROM 't'"}, True),
        ({"sql": "SELECT timestamp() AS a FROM 't'", "timestamp": 1}, True),
        ({"aws_iot_sql_version": "1999-01-01"}, False),
    ],
    ids=range(22),
)
def test_what_meets_an_expectation(tmp_path: Path, changes: dict[str, Any], passes: bool) -> None:
    assert rules("test", cases(tmp_path, {**GOOD, **changes})).exit_code == (0 if passes else 1)


@pytest.mark.parametrize("line", ["{", "[]", '{"sql":"SELECT * FROM \'t\'"}', '{"expect":1}'])
def test_a_file_that_is_no_cases_exits_2(tmp_path: Path, line: str) -> None:
    file = tmp_path / "broken.jsonl"
    file.write_text(line)
    result = rules("test", str(file))
    assert result.exit_code == 2
    assert "broken.jsonl:1" in result.stderr
    assert rules("test", str(tmp_path / "none.jsonl")).exit_code == 2


def test_no_case_is_no_success(tmp_path: Path) -> None:
    file = tmp_path / "empty.jsonl"
    file.write_text("\n")
    result = rules("test", str(file))
    assert result.exit_code == 2
    assert "no case in" in result.stderr


def test_cases_come_from_stdin() -> None:
    assert rules("test", "-", stdin=json.dumps(GOOD)).output == "1 passed, 0 failed\n"


def test_eval_prints_the_output() -> None:
    result = rules("eval", "--sql", "SELECT a.b AS x FROM 't/+'", "--topic", "t/1", "--payload", '{"a":{"b":[1,null]}}')
    assert (result.exit_code, json.loads(result.stdout)) == (0, {"x": [1, None]})


@pytest.mark.parametrize(
    ("sql", "payload", "output"),
    [
        ("SELECT a FROM 'other'", "{}", {"$no_match": True}),
        ("SELECT VALUE a FROM 't'", "{}", {"$undefined": True}),
        ("SELECT * FROM 't'", b"\xff", {"$base64": "/w=="}),
        ("SELECT topic() AS t, clientid() AS c FROM 't'", "x", {"t": "t", "c": "n/a"}),
    ],
)
def test_eval_marks_what_is_not_json(sql: str, payload: str | bytes, output: Any) -> None:
    result = rules("eval", "--sql", sql, "--topic", "t", "--payload", "-", "--json", stdin=payload)
    assert json.loads(result.stdout) == output


def test_eval_puts_a_caret_under_an_error() -> None:
    result = rules("eval", "--sql", "SELECT a,\n  lenght(b) FROM 't'", "--topic", "t")
    assert result.exit_code == 2
    assert result.stderr.endswith("did you mean length()? (at character 13)\n    lenght(b) FROM 't'\n    ^\n")


def test_eval_says_an_error_in_json_too() -> None:
    result = rules("eval", "--sql", "SELECT", "--topic", "t", "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["position"] == 6


def test_eval_explains_what_was_undefined() -> None:
    sql = "SET @a = b.c SELECT truck_id, @a + 1 AS n FROM 't' WHERE speed > 80 AND seq = 1"
    result = rules("eval", "--explain", "--sql", sql, "--topic", "t", "--payload", '{"seq":1,"truck_id":"T"}')
    assert json.loads(result.stdout) == {"$no_match": True}
    assert result.stderr.splitlines() == [
        f"SET     b (at character {sql.index('b.c') + 1}): Undefined",
        f"SELECT  @a (at character {sql.index('@a +') + 1}): Undefined",
        f"WHERE   speed (at character {sql.index('speed') + 1}): Undefined",
        f"WHERE   speed > 80 (at character {sql.index('> 80') + 1}): Undefined",
        f"WHERE   seq = 1 (at character {sql.index('= 1') + 1}): true",
    ]


def test_eval_names_a_missing_resolver() -> None:
    result = rules("eval", "--sql", "SELECT get_thing_shadow('a','b') AS s FROM 't'", "--topic", "t")
    assert result.exit_code == 2
    assert "get_thing_shadow" in result.stderr


def test_list_shows_the_shipped_rules() -> None:
    rows = json.loads(rules("list", "--json").stdout)
    assert [row["rule_name"] for row in rows] == [
        "milepost_report",
        "milepost_status",
        "milepost_telemetry",
        "milepost_telemetry_batch",
        "milepost_time",
    ]
    assert rows[2]["topic_filter"] == "fleet/+/telemetry"
    assert "milepost_status" in rules("list").output
    assert rules("list", "--documents", "no-such-folder").exit_code == 2


def test_the_shipped_rules_have_no_finding() -> None:
    result = rules("check", "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, [])


ROLE = "arn:aws:iam::123456789012:role/rules"


def document(sql: str, **more: Any) -> dict[str, Any]:
    action = {"s3": {"roleArn": ROLE, "bucketName": "b", "key": "${newuuid()}"}}
    payload = {"sql": sql, "awsIotSqlVersion": "2016-03-23", "actions": [action], "errorAction": action, **more}
    return {"ruleName": "r", "topicRulePayload": payload}


FLEET = "SELECT * FROM 'fleet/+/telemetry'"
BATCH = "SELECT encode(*, 'base64') AS data FROM 'fleet/+/telemetry/batch'"
WARNINGS = (None, "version", "dash")


@pytest.mark.parametrize(
    ("written", "code"),
    [
        (document(FLEET), None),
        (document("SELECT * FROM 'fleet/#'"), None),
        (document("SELECT * FROM '+/t1/#'"), None),
        (document("SELECT * FROM 'truck/+/telemetry'"), "filter"),
        (document("SELECT * FROM 'fleet/+'"), "filter"),
        (document("SELECT * FROM 'a/b/c/d/e/f/g/h/i'"), "slashes"),
        (document("SELECT * FROM '$aws/rules/r/fleet/t/telemetry'"), "basic-ingest"),
        (document("SELECT nope(a) FROM 'fleet/+/telemetry'"), "sql"),
        (document(FLEET, errorAction=None), "no-error-action"),
        (document(FLEET, actions=[]), "no-action"),
        (document(FLEET, actions=[{"lambda": {"functionArn": "f"}}] * 11), "actions"),
        (document(FLEET, actions=[{"s3": {"key": "${nope()}"}}]), "sql"),
        (document(FLEET, errorAction={"s3": {"key": "${aws_lambda('a', 1)}"}}), "external-in-error-action"),
        (document(FLEET, awsIotSqlVersion="2015-10-08"), "version"),
        (document("SELECT a AS x, b AS x FROM 'fleet/+/report'"), "alias"),
        (document("SELECT *, topic(2) AS truck_id FROM 'fleet/+/telemetry'"), "shadow"),
        (document("SELECT get_dynamodb('t','k',a,'r') AS x, get_dynamodb('t') AS y FROM 'fleet/#'"), "get_dynamodb"),
        ({"ruleName": "r"}, "document"),
        (document("SELECT abs(1, 2) AS a FROM 'fleet/#'"), "arguments"),
        (document("SELECT regexp_matches(a, '(') AS a FROM 'fleet/#'"), "regexp"),
        (document("SELECT encode(*, 'hex') AS a FROM 'fleet/#'"), "encoding"),
        (document("SELECT seq – 1 AS a FROM 'fleet/+/telemetry'"), "dash"),
        (document("SELECT seq FROM fleet/#"), None),
        (document(BATCH), None),
        (document(BATCH, actions=[{"republish": {"roleArn": "r", "topic": "x"}}]), "payload"),
        (
            document(BATCH, actions=[{"kinesis": {"roleArn": ROLE, "streamName": "x", "partitionKey": "${topic(2)}"}}]),
            None,
        ),
        ({**document(FLEET), "ruleName": "r" * 129}, "name"),
    ],
    ids=range(27),
)
def test_check_finds(tmp_path: Path, written: dict[str, Any], code: str | None) -> None:
    file = tmp_path / "rule.json"
    file.write_text(json.dumps(written))
    result = rules("check", str(file), "--json")
    codes = [finding["code"] for finding in json.loads(result.stdout)]
    assert (code in codes) if code else (codes == [])
    assert result.exit_code == (0 if code in WARNINGS else 1)
    text = rules("check", str(tmp_path))
    assert text.exit_code == result.exit_code
    assert "1 rule checked" in text.output
    assert (f": {code}\n" in text.output and "→" in text.output) if code else text.output.count("\n") == 1


def test_check_of_what_is_no_json_exits_2(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    assert rules("check", str(tmp_path / "x.json")).exit_code == 2
