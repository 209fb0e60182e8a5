"""The AWS policy documents, as data: who may do what, and nothing else. Pure.

A truck's policy is one for the whole fleet: `${iot:Connection.Thing.ThingName}` is resolved at each connection, and
only if the certificate is attached to the thing that the client id names.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
_ITSELF = "${iot:Connection.Thing.ThingName}"
_SENDS = ("telemetry", "telemetry/batch", "report", "status")
_ASKS = ("time/ask",)
_HEARS = ("resend", "config", "command", "time")


@dataclass(frozen=True, slots=True)
class Names:
    """What Milepost's things in an account are called. prefix: `[provisioning] prefix`."""

    prefix: str
    region: str
    account: str

    @property
    def thing_type(self) -> str:
        return f"{self.prefix}-truck"

    @property
    def group(self) -> str:
        return f"{self.prefix}-trucks"

    @property
    def truck_policy(self) -> str:
        return f"{self.prefix}-truck"

    @property
    def claim_policy(self) -> str:
        return f"{self.prefix}-claim"

    @property
    def template(self) -> str:
        return f"{self.prefix}-truck"

    @property
    def role(self) -> str:
        return f"{self.prefix}-provisioning"

    @property
    def hook(self) -> str:
        return f"{self.prefix}-provisioning-hook"

    @property
    def hook_role(self) -> str:
        return f"{self.prefix}-provisioning-hook"

    def arn(self, resource: str) -> str:
        """Of a resource of AWS IoT in this account and region."""
        return f"arn:aws:iot:{self.region}:{self.account}:{resource}"

    def role_arn(self, name: str) -> str:
        return f"arn:aws:iam::{self.account}:role/{name}"


def truck(names: Names, rules: Sequence[str]) -> Json:
    """Connect as itself; publish its topics, also by Basic Ingest to these rules; ask the time; hear; renew itself."""
    own = [f"fleet/{_ITSELF}/{topic}" for topic in _SENDS]
    asks = [f"fleet/{_ITSELF}/{topic}" for topic in _ASKS]
    ingest = [f"$aws/rules/{rule}/{topic}" for rule in rules for topic in own]
    hears = [f"fleet/{_ITSELF}/{topic}" for topic in _HEARS]
    return _document(
        _allow("iot:Connect", [names.arn(f"client/{_ITSELF}")], attached=True),
        _allow("iot:Publish", [names.arn(f"topic/{topic}") for topic in own + asks + ingest]),
        _allow("iot:RetainPublish", [names.arn(f"topic/fleet/{_ITSELF}/status")]),
        _allow("iot:Subscribe", [names.arn(f"topicfilter/{topic}") for topic in hears]),
        _allow("iot:Receive", [names.arn(f"topic/{topic}") for topic in hears]),
        *_provisioning(names),
    )


def claim(names: Names) -> Json:
    """Ask for a certificate and register; the hook says for which truck. It can do nothing else."""
    return _document(_allow("iot:Connect", [names.arn("client/*")]), *_provisioning(names))


def provisioning_role(names: Names) -> Json:
    """What the template does in the account's name."""
    return _document(
        _allow(
            ["iot:UpdateCertificate", "iot:DescribeCertificate", "iot:AttachThingPrincipal", "iot:AttachPolicy"],
            [names.arn("cert/*"), names.arn("thing/*"), names.arn(f"policy/{names.truck_policy}")],
        ),
        _allow(["iot:CreateThing", "iot:UpdateThing", "iot:DescribeThing"], [names.arn("thing/*")]),
        _allow(["iot:DescribeThingType"], [names.arn(f"thingtype/{names.thing_type}")]),
        _allow(["iot:ListThingPrincipals", "iot:ListAttachedPolicies", "iot:ListPrincipalThings"], ["*"]),
    )


def hook_role(names: Names) -> Json:
    """What the hook may: look a truck up, use up its token, revoke what a renewal replaces."""
    return _document(
        _allow(["iot:DescribeThing", "iot:UpdateThing", "iot:ListThingPrincipals"], [names.arn("thing/*")]),
        _allow(["iot:UpdateCertificate"], [names.arn("cert/*")]),
        _allow(
            ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
            [f"arn:aws:logs:{names.region}:{names.account}:log-group:/aws/lambda/{names.hook}*"],
        ),
    )


def assumed_by(service: str) -> Json:
    """A role's trust: this service only."""
    return _document({"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"})


def template(names: Names) -> Json:
    """The provisioning template: an existing truck, the certificate that was just asked for, the fleet's policy."""
    return {
        "Parameters": {
            "ThingName": {"Type": "String"},
            "Token": {"Type": "String"},
            "AWS::IoT::Certificate::Id": {"Type": "String"},
        },
        "Resources": {
            "thing": {
                "Type": "AWS::IoT::Thing",
                "Properties": {"ThingName": {"Ref": "ThingName"}, "ThingTypeName": names.thing_type},
                "OverrideSettings": {"ThingTypeName": "DO_NOTHING", "AttributePayload": "MERGE"},
            },
            "certificate": {
                "Type": "AWS::IoT::Certificate",
                "Properties": {"CertificateId": {"Ref": "AWS::IoT::Certificate::Id"}, "Status": "ACTIVE"},
            },
            "policy": {"Type": "AWS::IoT::Policy", "Properties": {"PolicyName": names.truck_policy}},
        },
    }


def _provisioning(names: Names) -> list[Json]:
    topics = ["$aws/certificates/create-from-csr/json", f"$aws/provisioning-templates/{names.template}/provision/json"]
    answers = [f"{topic}/{kind}" for topic in topics for kind in ("accepted", "rejected")]
    return [
        _allow("iot:Publish", [names.arn(f"topic/{topic}") for topic in topics]),
        _allow("iot:Subscribe", [names.arn(f"topicfilter/{topic}") for topic in answers]),
        _allow("iot:Receive", [names.arn(f"topic/{topic}") for topic in answers]),
    ]


def _allow(action: str | list[str], resources: list[str], *, attached: bool = False) -> Json:
    condition = {"Condition": {"Bool": {"iot:Connection.Thing.IsAttached": ["true"]}}} if attached else {}
    return {"Effect": "Allow", "Action": action, "Resource": resources, **condition}


def _document(*statements: Json) -> Json:
    return {"Version": "2012-10-17", "Statement": list(statements)}
