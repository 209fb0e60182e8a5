"""AwsIotTransport against an IoT endpoint that enforces the policies of a thing's certificate (ministack)."""

import importlib.util
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from agent.transport import BrokerLimits, Connected, Delivered, Lost, Message, Refused
from agent.transport.endpoint import EndpointLine
from tests.agent.transport.conftest import Recorder, make_transport
from tests.agent.transport.ministack import Ministack
from tests.waiting import until

for needed, remedy in (("ministack", "'ministack[full]'"), ("boto3", "boto3"), ("awscrt", "'milepost[agent-aws]'")):
    if importlib.util.find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed: pip install {remedy}", allow_module_level=True)


@pytest.fixture(scope="module")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ministack]:
    """One for the module."""
    with Ministack(tmp_path_factory.mktemp("ministack")) as running:
        yield running


@pytest.fixture(scope="module")
def line(ministack: Ministack) -> EndpointLine:
    """The line of T1, which has a certificate, a policy and a thing."""
    return ministack.register("T1")


@pytest.fixture
def truck(line: EndpointLine) -> Iterator[Recorder]:
    """T1's transport within IoT Core's own limits, connected."""
    one = Recorder(make_transport("aws", line, BrokerLimits()))
    one.until(Connected)
    yield one
    one.transport.close()


def test_the_policy_decides_and_a_refusal_is_no_delivery(truck: Recorder) -> None:
    """Ours is taken, another truck's is refused with 135, and the connection goes on."""
    for token, topic in enumerate(("fleet/T1/telemetry", "fleet/T2/telemetry", "fleet/T1/report"), 1):
        truck.transport.publish(Message(token, topic, b"{}"))
    truck.until(Delivered, 2)
    truck.until(Refused)
    assert (truck.tokens(), truck.refused(), truck.count(Lost)) == ([1, 3], [(2, 135)], 0)


def test_another_trucks_name_does_not_connect(line: EndpointLine) -> None:
    """The policy ties the client id to the certificate's thing."""
    impostor = Recorder(make_transport("aws", replace(line, client_id="T2")))
    with pytest.raises(AssertionError):
        impostor.until(Connected, seconds=1)
    impostor.transport.close()


def test_basic_ingest_reaches_the_rule_without_the_broker(ministack: Ministack, truck: Recorder) -> None:
    """`$aws/rules/NAME/fleet/T1/telemetry`: the rule sees the topic without the prefix, so topic(2) is the truck."""
    queue = ministack.client("sqs").create_queue(QueueName="ingested")["QueueUrl"]
    rule = {
        "sql": "SELECT *, topic(2) AS truck_id FROM 'fleet/+/telemetry'",
        "awsIotSqlVersion": "2016-03-23",
        "actions": [{"sqs": {"roleArn": _role(ministack), "queueUrl": queue, "useBase64": False}}],
    }
    ministack.client("iot").create_topic_rule(ruleName="milepost_telemetry", topicRulePayload=rule)
    truck.transport.publish(Message(9, "$aws/rules/milepost_telemetry/fleet/T1/telemetry", b'{"seq":7}'))
    truck.until(Delivered)
    found = until(lambda: ministack.client("sqs").receive_message(QueueUrl=queue).get("Messages"))
    assert json.loads(found[0]["Body"]) == {"seq": 7, "truck_id": "T1"}


def _role(ministack: Ministack) -> str:
    trust = {"Effect": "Allow", "Principal": {"Service": "iot.amazonaws.com"}, "Action": "sts:AssumeRole"}
    allow = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}
    iam, version = ministack.client("iam"), "2012-10-17"
    role = iam.create_role(
        RoleName="rules", AssumeRolePolicyDocument=json.dumps({"Version": version, "Statement": [trust]})
    )
    policy = json.dumps({"Version": version, "Statement": [allow]})
    iam.put_role_policy(RoleName="rules", PolicyName="send", PolicyDocument=policy)
    arn: str = role["Role"]["Arn"]
    return arn
