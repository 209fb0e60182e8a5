"""Many rules, one message: routing, templates, error actions, Basic Ingest."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from contract.errors import Misconfigured
from contract.topics import TIME_ASK, UPLINK
from iot_rules.engine import PublishedMessage, Rules, Surroundings, TopicRule, load_documents, read_rule


def rule(name: str, sql: str, *actions: dict[str, Any], **more: Any) -> TopicRule:
    payload = {"sql": sql, "awsIotSqlVersion": "2016-03-23", "actions": list(actions), **more}
    return read_rule({"ruleName": name, "topicRulePayload": payload})


def kinesis(key: str = "${topic(1)}") -> dict[str, Any]:
    return {"kinesis": {"roleArn": "arn", "streamName": "s", "partitionKey": key}}


S3 = {"s3": {"roleArn": "arn", "bucketName": "b", "key": "k/${topic()}"}}


@pytest.fixture(scope="module")
def shipped() -> Rules:
    return Rules(load_documents())


def test_every_topic_of_a_truck_has_its_rule() -> None:
    filters = [each.statement.topic_filter for each in load_documents()]
    assert sorted(map(str, filters)) == sorted((*UPLINK, TIME_ASK))


@pytest.mark.parametrize("rest", ["telemetry", "telemetry/batch"])
def test_telemetry_is_wrapped_as_the_bytes_came(shipped: Rules, rest: str) -> None:
    payload = b'{"seq": 1 }\xff'
    (delivery,) = shipped.run(PublishedMessage(f"fleet/t-1/{rest}", payload, client_id="t-1", timestamp_ms=7))
    assert (delivery.action_type, delivery.parameters["partitionKey"]) == ("kinesis", "t-1")
    assert delivery.parameters["streamName"] == "milepost-telemetry"
    encoded = base64.b64encode(payload).decode()
    wrapped = f'{{"data":"{encoded}","truck_id":"t-1","client_id":"t-1","received_at":7}}'
    assert delivery.payload == wrapped.encode()


@pytest.mark.parametrize("kind", ["report", "status"])
def test_report_and_status_say_their_kind(shipped: Rules, kind: str) -> None:
    (delivery,) = shipped.run(PublishedMessage(f"fleet/t/{kind}", b"{}", client_id="t"))
    assert json.loads(delivery.payload)["kind"] == kind


def test_other_topics_go_nowhere(shipped: Rules) -> None:
    assert not shipped.run(PublishedMessage("fleet/t/resend", b"{}"))
    assert not shipped.run(PublishedMessage("fleet/a/b/telemetry", b"{}"))


def test_basic_ingest_reaches_only_the_rule_it_names(shipped: Rules) -> None:
    (delivery,) = shipped.run(PublishedMessage("$aws/rules/milepost_telemetry/fleet/t/telemetry", b"{}", client_id="t"))
    assert delivery.rule_name == "milepost_telemetry"
    assert not shipped.run(PublishedMessage("$aws/rules/milepost_status/fleet/t/telemetry", b"{}"))
    assert not shipped.run(PublishedMessage("$aws/rules/nobody/fleet/t/telemetry", b"{}"))


def test_all_matching_rules_run_in_order() -> None:
    rules = Rules([rule("one", "SELECT a FROM 'x/#'", kinesis()), rule("two", "SELECT b FROM '+/y'", kinesis())])
    payloads = [(each.rule_name, each.payload) for each in rules.run(PublishedMessage("x/y", b'{"a":1,"b":2}'))]
    assert payloads == [("one", b'{"a":1}'), ("two", b'{"b":2}')]


def test_failed_templates_make_one_error_message_for_all_failed_actions() -> None:
    broken = rule("r", "SELECT * FROM 'x'", kinesis("${no}"), kinesis("ok"), kinesis("${nope}"), errorAction=S3)
    good, error = Rules([broken]).run(PublishedMessage("x", b"{}", client_id="c", trace_id="t"))
    assert not good.error
    assert good.parameters["partitionKey"] == "ok"
    assert (error.action_type, error.error, error.parameters["key"]) == ("s3", True, "k/x")
    document = json.loads(error.payload)
    assert document["base64OriginalPayload"] == "e30="
    assert (document["ruleName"], document["topic"], document["clientId"]) == ("r", "x", "c")
    assert document["cloudwatchTraceId"] == "t"
    assert [each["failedAction"] for each in document["failures"]] == ["KinesisAction", "KinesisAction"]
    assert document["failures"][0]["failedResource"] == "s"
    assert "${no} is undefined" in document["failures"][0]["errorMessage"]


def test_a_failure_to_send_goes_to_the_error_action_once() -> None:
    rules = Rules([rule("r", "SELECT * FROM 'x'", kinesis(), errorAction=S3)])
    message = PublishedMessage("x", b"{}")
    (delivery,) = rules.run(message)
    error = rules.undeliverable(message, delivery, "the stream is full")
    assert error is not None
    assert json.loads(error.payload)["failures"][0]["errorMessage"] == "the stream is full"
    assert rules.undeliverable(message, error, "and the bucket is gone") is None


def test_variables_reach_the_templates() -> None:
    with_set = rule("r", "SET @k = upper(id) SELECT id FROM 'x'", kinesis("${@k}"))
    (delivery,) = Rules([with_set]).run(PublishedMessage("x", b'{"id":"a"}'))
    assert delivery.parameters["partitionKey"] == "A"


def test_raw_bytes_pass_through_select_star() -> None:
    (delivery,) = Rules([rule("r", "SELECT * FROM 'x'", S3)]).run(PublishedMessage("x", b"\xff\x00"))
    assert delivery.payload == b"\xff\x00"


def test_disabled_rules_do_not_run() -> None:
    assert not Rules([rule("r", "SELECT * FROM 'x'", S3, ruleDisabled=True)]).run(PublishedMessage("x", b"{}"))


def test_a_call_out_needs_a_resolver_and_uses_it() -> None:
    calling = rule("r", "SELECT aws_lambda('arn', {'q': a}).out AS o FROM 'x'", S3)
    with pytest.raises(Misconfigured, match="aws_lambda"):
        Rules([calling])
    resolvers = {"aws_lambda": lambda values: {"out": [values[1]]}}
    (delivery,) = Rules([calling], Surroundings(resolvers=resolvers)).run(PublishedMessage("x", b'{"a":1}'))
    assert json.loads(delivery.payload) == {"o": [{"q": 1}]}


@pytest.mark.parametrize("answer", [{1, 2}, float("nan"), b"x", object()])
def test_an_answer_that_is_no_json_fails_the_statement(answer: Any) -> None:
    calling = rule("r", "SELECT get_secret('a', 'SecretString', 'r') AS o FROM 'x'", S3, errorAction=S3)
    (delivery,) = Rules([calling], Surroundings(resolvers={"get_secret": lambda _: answer})).run(
        PublishedMessage("x", b"{}")
    )
    assert delivery.error
    assert b"get_secret() answered" in delivery.payload


def test_an_answer_s_numbers_count() -> None:
    calling = rule("r", "SELECT aws_lambda('arn', *).n + 1 AS n FROM 'x'", S3)
    made = Rules([calling], Surroundings(resolvers={"aws_lambda": lambda _: {"n": 1.5}})).run(
        PublishedMessage("x", b"{}")
    )
    assert made[0].payload == b'{"n":2.5}'


def test_a_failing_call_out_goes_to_the_error_action() -> None:
    def fail(values: list[Any]) -> Any:
        raise Misconfigured("no such function")

    calling = rule("r", "SELECT aws_lambda('arn', 1) AS o FROM 'x'", kinesis(), errorAction=S3)
    (delivery,) = Rules([calling], Surroundings(resolvers={"aws_lambda": fail})).run(PublishedMessage("x", b"{}"))
    assert delivery.error
    assert b"no such function" in delivery.payload


def test_two_rules_of_one_name_are_refused() -> None:
    twice = [rule("r", "SELECT * FROM 'x'"), rule("r", "SELECT * FROM 'y'")]
    with pytest.raises(Misconfigured, match="two rules"):
        Rules(twice)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("{", "not a JSON"),
        ("[]", "ruleName"),
        ('{"ruleName":"a b","topicRulePayload":{"sql":"SELECT * FROM \'x\'"}}', "letters"),
        ('{"ruleName":"a","topicRulePayload":{"sql":"SELECT nope() FROM \'x\'"}}', "nope"),
        ('{"ruleName":"a","topicRulePayload":{}}', "sql"),
        ('{"ruleName":"a","topicRulePayload":{"sql":"SELECT * FROM \'x\'","actions":[{"fax":{}}]}}', "fax"),
    ],
)
def test_a_bad_document_is_named(tmp_path: Path, text: str, match: str) -> None:
    (tmp_path / "broken.json").write_text(text)
    with pytest.raises(Misconfigured, match=match) as caught:
        load_documents(tmp_path)
    assert "broken.json" in str(caught.value)


def sent(action: dict[str, Any], payload: bytes, sql: str = "SELECT VALUE * FROM 'x'") -> list[tuple[str, bytes]]:
    made = Rules([rule("r", sql, action, errorAction=S3)]).run(PublishedMessage("x", payload))
    return [("error" if each.error else each.action_type, each.payload) for each in made]


def test_firehose_batches_and_separates() -> None:
    plain = {"firehose": {"deliveryStreamName": "d", "separator": "\n"}}
    batch = {"firehose": {"deliveryStreamName": "d", "separator": "\n", "batchMode": True}}
    assert sent(plain, b"[1,2]") == [("firehose", b"[1,2]\n")]
    assert sent(batch, b"[1,2]") == [("firehose", b"1\n"), ("firehose", b"2\n")]
    assert [kind for kind, _ in sent({"firehose": {"separator": ";"}}, b"{}")] == ["error"]


def test_sqs_encodes_when_told() -> None:
    assert sent({"sqs": {"queueUrl": "q", "useBase64": True}}, b"\xff") == [("sqs", b"/w==")]
    assert sent({"sqs": {"queueUrl": "q"}}, b"{}") == [("sqs", b"{}")]


def test_dynamodb_v2_takes_objects_only() -> None:
    action = {"dynamoDBv2": {"roleArn": "r", "putItem": {"tableName": "t"}}}
    assert sent(action, b'{"a":1}') == [("dynamoDBv2", b'{"a":1}')]
    ((kind, document),) = sent(action, b"[1]")
    assert kind == "error"
    assert json.loads(document)["failures"][0]["failedResource"] == "t"


def test_kinesis_needs_a_partition_key_of_1_to_256_characters() -> None:
    assert [kind for kind, _ in sent(kinesis("${*}"), b'{"a":"%s"}' % (b"x" * 300))] == ["error"]
    assert [kind for kind, _ in sent({"kinesis": {"streamName": "s"}}, b"{}")] == ["kinesis"]


@pytest.mark.parametrize("text", [b'{"a":%s}' % (b"7" * 5000), b'{"a":[1E+40000,-0.0]}', b'{"a":"\\ud800"}'])
def test_odd_json_passes_through_select_star(text: bytes) -> None:
    ((kind, payload),) = sent({"sqs": {"queueUrl": "q"}}, text, "SELECT * FROM 'x'")
    assert (kind, payload[:5]) == ("sqs", b'{"a":')
    ((_, summed),) = sent({"sqs": {"queueUrl": "q"}}, text, "SELECT a + 1 AS b FROM 'x'")
    assert summed in (b"{}", b'{"b":"\\ud8001"}')


def test_undefined_is_sent_as_nothing() -> None:
    assert sent({"sqs": {"queueUrl": "q"}}, b"{}", "SELECT VALUE a FROM 'x'") == [("sqs", b"")]


def test_an_ask_for_the_time_is_answered_under_its_id_on_the_asking_trucks_topic(shipped: Rules) -> None:
    (delivery,) = shipped.run(
        PublishedMessage("fleet/T1/time/ask", b'{"id":"0af3"}', client_id="T1", timestamp_ms=1234)
    )
    assert (delivery.action_type, delivery.parameters["topic"]) == ("republish", "fleet/T1/time")
    assert int(delivery.parameters["qos"]) == 0
    assert delivery.payload == b'{"id":"0af3","ms":1234}'


@pytest.mark.parametrize("ask", [b'{"id":"' + b"a" * 65 + b'"}', b"{}", b"x"])
def test_an_ask_without_a_proper_id_is_not_answered(shipped: Rules, ask: bytes) -> None:
    assert not shipped.run(PublishedMessage("fleet/T1/time/ask", ask, client_id="T1", timestamp_ms=1234))
