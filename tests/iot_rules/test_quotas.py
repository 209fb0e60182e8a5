"""What a fleet's size means: rates over IoT Core's limits, and the cost, reckoned by hand here."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from iot_rules.action_schemas import kinds
from iot_rules.cli import app
from iot_rules.engine import load_documents
from iot_rules.prices import deliveries, prices
from iot_rules.quotas import PublishingFleet, cost


def findings(*arguments: str) -> tuple[int, list[tuple[str, str]]]:
    result = CliRunner().invoke(app, ["check", *arguments, "--json"])
    found = [(each["code"], each["message"]) for each in json.loads(result.stdout) if each["level"] == "error"]
    return result.exit_code, found


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--interval", "0.005"], "rate", "200 publishes/s on one connection"),
        (["--interval", "0.1", "--message-bytes", "100000"], "rate", "1,000,000 bytes/s on one connection"),
        (["--message-bytes", "131073"], "payload", "messages of 131,073 bytes"),
        (["--trucks", "500001", "--interval", "60"], "rate", "500,001 connections"),
        (["--trucks", "20001", "--interval", "1"], "rate", "20,001 publishes/s into the account"),
    ],
)
def test_a_limit_that_is_passed_is_an_error(arguments: list[str], code: str, said: str) -> None:
    exit_code, found = findings(*([] if "--trucks" in arguments else ["--trucks", "1"]), *arguments)
    assert exit_code == 1
    assert any(each == code and message.startswith(said) for each, message in found), found


@pytest.mark.parametrize(
    "arguments",
    [["--trucks", "20000", "--interval", "1"], ["--trucks", "10000"], ["--trucks", "1", "--interval", "0.01"],
     ["--trucks", "1", "--message-bytes", "131072"]],
)  # fmt: skip
def test_at_the_limit_there_is_no_error(arguments: list[str]) -> None:
    assert findings(*arguments) == (0, [])


def test_the_cost_of_a_truck_and_month_is_the_list_price_of_its_messages() -> None:
    spent = cost(load_documents(), PublishingFleet(trucks=1, interval=60, message_bytes=1000))
    millions = 43_800 / 1e6
    assert spent.connection == pytest.approx(0.08 * millions)
    assert spent.messages == pytest.approx(1.00 * millions)
    assert spent.rules == {"milepost_telemetry": pytest.approx((0.15 + 0.15 + 0.014) * millions)}
    assert prices()["as_of"]


def test_larger_messages_cost_by_their_units() -> None:
    spent = cost(load_documents(), PublishingFleet(trucks=1, interval=60, message_bytes=10_000))
    millions = 43_800 / 1e6
    assert spent.messages == pytest.approx(2 * 1.00 * millions)
    # In base64 13,333 bytes: three units of 5 KB for the action, one PUT unit of 25 KB.
    assert spent.rules["milepost_telemetry"] == pytest.approx((2 * 0.15 + 3 * 0.15 + 0.014) * millions)


def test_an_action_whose_price_is_not_known_is_named_and_not_reckoned_as_nothing(tmp_path: Path) -> None:
    """Of all kinds that AWS has, each is in the table of prices or is named."""
    document = {
        "ruleName": "many",
        "topicRulePayload": {
            "sql": "SELECT * FROM 'fleet/+/telemetry'",
            "awsIotSqlVersion": "2016-03-23",
            "actions": [{kind: {}} for kind in kinds()],
        },
    }
    (tmp_path / "many.json").write_text(json.dumps(document))
    result = CliRunner().invoke(app, ["check", str(tmp_path / "many.json"), "--trucks", "1", "--json"])
    [said] = [each["message"] for each in json.loads(result.stdout) if each["code"] == "cost"]
    unknown = said.split(", and what ")[1].split(" cost is not known here")[0].split(", ")
    assert unknown == sorted(set(kinds()) - deliveries().keys())
    assert {"sns", "kafka", "timestream"} <= set(unknown)
