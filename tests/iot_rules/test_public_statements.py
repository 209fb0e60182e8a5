"""What people really write: statements of public projects, told in our own names, each with its output.

`seen` says in a few words where a statement of this form was found. `documented` names the pages of the AWS IoT
developer guide whose words or examples give its outcome; where they are silent or differ, `judged` says how it
was decided.
"""

import json
from pathlib import Path

from typer.testing import CliRunner

from iot_rules.cli import app

PAGES = {
    "iot-sql-select", "iot-sql-from", "iot-sql-where", "iot-sql-operators", "iot-sql-functions",
    "iot-sql-nested-queries", "binary-payloads",
}  # fmt: skip
FILE = Path(__file__).with_name("public_statements.jsonl")


def test_statements_of_public_projects_come_out_as_on_aws() -> None:
    result = CliRunner().invoke(app, ["test", str(FILE)])
    assert result.exit_code == 0, result.output


def test_there_are_a_hundred_and_no_two_are_one() -> None:
    cases = [json.loads(line) for line in FILE.read_text("utf-8").splitlines()]
    asked = {json.dumps([case["sql"], case["topic"], case["payload"]]) for case in cases}
    assert len(asked) == len(cases) >= 100
    assert all(case["seen"] for case in cases)


def test_each_says_whether_its_outcome_is_documented_on_aws() -> None:
    cases = [json.loads(line) for line in FILE.read_text("utf-8").splitlines()]
    assert all(("documented" in case) is not ("judged" in case) for case in cases)
    assert {page for case in cases for page in case.get("documented", [])} <= PAGES
    assert all(case.get("judged", "said") for case in cases)
    assert sum("documented" in case for case in cases) >= 100


def test_conditions_of_a_case_can_fail(tmp_path: Path) -> None:
    case = {"sql": "SELECT * FROM 'a'", "topic": "a", "payload": {"n": 5, "s": "abc"}}
    outcomes = {
        '{"n": {"$between": [5, 6]}, "s": {"$regex": "a.c"}}': 0,
        '{"n": {"$between": [6, 7]}, "s": "abc"}': 1,
        '{"n": 5, "s": {"$regex": "ab"}}': 1,
        '{"n": {"$regex": "5"}, "s": "abc"}': 1,
        '{"n": {"$between": "5"}, "s": "abc"}': 2,
    }
    for number, (expect, code) in enumerate(outcomes.items()):
        file = tmp_path / f"{number}.jsonl"
        file.write_text(json.dumps({**case, "id": "x", "expect": json.loads(expect)}) + "\n")
        assert CliRunner().invoke(app, ["test", str(file)]).exit_code == code, expect
