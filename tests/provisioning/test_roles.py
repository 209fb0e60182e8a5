"""Least privilege of the roles beside the trucks': what each may do is tried on ministack, which enforces IAM here."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from deploy.render import render
from provisioning import certificate_authority
from provisioning.registry import aws_policies
from provisioning.registry.aws import AwsRegistry
from tests.provisioning.aws import Ministack

_numbers = itertools.count(1)
NAMES = aws_policies.Names("roles", "us-east-1", "000000000000")
Clients = Callable[[str], Any]


def statements() -> dict[str, list[dict[str, Any]]]:
    """Role of the deployment → what it allows of AWS IoT, with resources as ministack's account has them."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name, resource in render()["Resources"].items():
        if resource["Type"] != "AWS::IAM::Role":
            continue
        text = json.dumps([policy["PolicyDocument"]["Statement"] for policy in resource["Properties"]["Policies"]])
        for variable, value in {"Partition": "aws", "Region": "us-east-1", "AccountId": NAMES.account}.items():
            text = text.replace(f"${{AWS::{variable}}}", value)
        for said in itertools.chain.from_iterable(json.loads(text)):
            one = said["Fn::If"][1] if "Fn::If" in said else said  # under a condition: as if it held
            if "iot:" in json.dumps(one["Action"]):
                resources = one["Resource"]["Fn::Sub"] if isinstance(one["Resource"], dict) else one["Resource"]
                found.setdefault(name, []).append({**one, "Resource": resources})
    return found


@pytest.fixture
def as_role(ministack: Ministack) -> Callable[[list[dict[str, Any]]], Clients]:
    """Clients of somebody who may do what these statements allow, and nothing else."""
    iam = boto3.client("iam", endpoint_url=ministack.url)

    def make(allowed: list[dict[str, Any]]) -> Clients:
        user = f"role-{next(_numbers)}"
        iam.create_user(UserName=user)
        document = json.dumps({"Version": "2012-10-17", "Statement": allowed})
        iam.put_user_policy(UserName=user, PolicyName="own", PolicyDocument=document)
        key = iam.create_access_key(UserName=user)["AccessKey"]
        session = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name="us-east-1")
        return lambda service: session.client(service, endpoint_url=ministack.url)

    return make


def denied(call: Callable[..., Any], **arguments: Any) -> bool:
    try:
        call(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("AccessDeniedException", "ForbiddenException", "AccessDenied"):
            return True
        raise
    return False


def test_of_the_deployment_three_roles_publish_each_on_one_topic() -> None:
    """The repair function asks for holes, the rules' role answers what time it is, the canary is a truck of its own."""
    spoken = {"Repair": "*/resend", "RulesRole": "*/time", "Canary": "${Prefix}-canary/telemetry"}
    assert len(statements()) == len(spoken)
    for role, (only,) in statements().items():
        (topic,) = (topic for name, topic in spoken.items() if role.startswith(name))
        assert only["Action"] == "iot:Publish"
        assert only["Resource"] == f"arn:aws:iot:us-east-1:{NAMES.account}:topic/fleet/{topic}"


def test_the_repair_role_publishes_resend_and_nothing_else(as_role: Callable[..., Clients]) -> None:
    (allowed,) = (found for role, found in statements().items() if role.startswith("Repair"))
    clients = as_role(allowed)
    publish = clients("iot-data").publish
    assert not denied(publish, topic="fleet/T1/resend", qos=1, payload=b"{}")
    for topic in (
        "fleet/T1/telemetry",
        "fleet/T1/status",
        "fleet/T1/report",
        "fleet/T1/config",
        "$aws/rules/x/fleet/T1",
    ):
        assert denied(publish, topic=topic, qos=1, payload=b"{}"), topic
    assert denied(clients("iot").create_thing, thingName="T1")
    assert denied(clients("iot").list_things)


def test_who_has_no_such_role_publishes_nothing_to_trucks(as_role: Callable[..., Clients]) -> None:
    for document in (aws_policies.hook_role(NAMES), aws_policies.provisioning_role(NAMES)):
        publish = as_role(document["Statement"])("iot-data").publish
        for topic in ("resend", "config"):
            assert denied(publish, topic=f"fleet/T1/{topic}", qos=1, payload=b"{}")


def test_the_hooks_role_looks_up_uses_up_and_revokes_and_nothing_else(
    as_role: Callable[..., Clients], ministack: Ministack, tmp_path: Path
) -> None:
    account = AwsRegistry(ministack.settings("roles"), tmp_path)
    account.init()
    account.add("ROLE-1", {})
    made = account.issue("ROLE-1", certificate_authority.new_key()[1])
    iot = as_role(aws_policies.hook_role(NAMES)["Statement"])("iot")
    assert not denied(iot.describe_thing, thingName="ROLE-1")
    assert not denied(iot.list_thing_principals, thingName="ROLE-1")
    assert not denied(iot.update_thing, thingName="ROLE-1", attributePayload={"attributes": {"a": "b"}, "merge": True})
    assert not denied(iot.update_certificate, certificateId=made.id, newStatus="REVOKED")
    certificate = NAMES.arn(f"cert/{made.id}")
    assert denied(iot.create_thing, thingName="ROLE-2")
    assert denied(iot.delete_thing, thingName="ROLE-1")
    assert denied(iot.attach_policy, policyName=NAMES.truck_policy, target=certificate)
    assert denied(iot.attach_thing_principal, thingName="ROLE-1", principal=certificate)
    assert denied(iot.create_certificate_from_csr, certificateSigningRequest=certificate_authority.new_key()[1])
    assert denied(iot.create_policy, policyName="x", policyDocument="{}")
