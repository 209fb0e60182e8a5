"""What people really write: statements of public projects, told in our own names, each with its output.

Where AWS's reference or its examples document the outcome, that is expected; elsewhere what the reference's words say.
`seen` says in a few words where a statement of this form was found.
"""

import json
from pathlib import Path

from typer.testing import CliRunner

from iot_rules.cli import app

FILE = Path(__file__).with_name("public_statements.jsonl")


def test_statements_of_public_projects_come_out_as_on_aws() -> None:
    result = CliRunner().invoke(app, ["test", str(FILE)])
    assert result.exit_code == 0, result.output


def test_there_are_a_hundred_and_no_two_are_one() -> None:
    cases = [json.loads(line) for line in FILE.read_text("utf-8").splitlines()]
    asked = {json.dumps([case["sql"], case["topic"], case["payload"]]) for case in cases}
    assert len(asked) == len(cases) >= 100
    assert all(case["seen"] for case in cases)


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
