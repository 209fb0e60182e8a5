"""What `init` makes in an AWS account, each part only if it is not there, and policies brought up to date.

The parts are named by the prefix. A claim is made on this machine, its key in a 0600 file; `renew_claim` makes another
and revokes the one before it.
"""

import io
import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from provisioning import certificate_authority, secure_files
from provisioning.command_key import COMMAND_KEY
from provisioning.registry import aws_policies
from provisioning.registry.aws_client import AwsClients
from provisioning.registry.aws_throttling import Paced

_RUNTIME = "python3.12"
_ROLE_WAIT = 30.0
_MOST_VERSIONS = 5


def prepare(registry: AwsClients) -> list[str]:
    """Everything, in the order in which parts need each other; what was made or changed."""
    names, iot = registry.names, registry.iot
    made: list[str] = []

    def part(label: str, done: bool) -> None:
        if done:
            made.append(label)

    part(f"thing type {names.thing_type}", _once(lambda: _thing_type(iot, names)))
    truck = aws_policies.truck(names, registry.settings.rules)
    part(f"policy {names.truck_policy}", _policy(iot, names.truck_policy, truck))
    part(f"policy {names.claim_policy}", _policy(iot, names.claim_policy, aws_policies.claim(names)))
    iam = Paced(registry.client("iam"), registry.settings.requests_per_second)
    part(f"role {names.role}", _role(iam, names.role, "iot.amazonaws.com", aws_policies.provisioning_role(names)))
    part(f"role {names.hook_role}", _role(iam, names.hook_role, "lambda.amazonaws.com", aws_policies.hook_role(names)))
    part(f"function {names.hook}", _hook(registry, names))
    part(f"template {names.template}", _template(registry, names))
    if not registry.command_key.exists:
        secure_files.private_folder(registry.folder)
        registry.command_key.make()
        made.append(COMMAND_KEY)
    if not (registry.folder / "claim.pem").exists():
        made.append(f"claim {renew_claim(registry)}")
    return made


def missing(registry: AwsClients) -> list[str]:
    """What `prepare` would make or change, but for the hook's code."""
    names, iot = registry.names, registry.iot
    others = {name: Paced(registry.client(name), registry.settings.requests_per_second) for name in ("iam", "lambda")}
    truck = aws_policies.truck(names, registry.settings.rules)
    checks: list[tuple[str, Callable[[], bool]]] = [
        (f"thing type {names.thing_type}", lambda: bool(iot("describe_thing_type", thingTypeName=names.thing_type))),
        (f"policy {names.truck_policy}", lambda: _present(iot, names.truck_policy) == truck),
        (f"policy {names.claim_policy}", lambda: _present(iot, names.claim_policy) == aws_policies.claim(names)),
        (f"role {names.role}", lambda: bool(others["iam"]("get_role", RoleName=names.role))),
        (f"role {names.hook_role}", lambda: bool(others["iam"]("get_role", RoleName=names.hook_role))),
        (f"function {names.hook}", lambda: bool(others["lambda"]("get_function", FunctionName=names.hook))),
        (
            f"template {names.template}",
            lambda: bool(iot("describe_provisioning_template", templateName=names.template)),
        ),
        (COMMAND_KEY, lambda: registry.command_key.exists),
        ("claim", (registry.folder / "claim.pem").exists),
    ]
    return [label for label, holds in checks if not _holds(holds)]


def _holds(check: Callable[[], bool]) -> bool:
    try:
        return check()
    except ClientError as error:
        if error.response["Error"]["Code"] in ("ResourceNotFoundException", "NoSuchEntity", "NoSuchEntityException"):
            return False
        raise


def _present(iot: Paced, name: str) -> Any:
    return json.loads(iot("get_policy", policyName=name)["policyDocument"])


def renew_claim(registry: AwsClients) -> str:
    """A new claim on this machine; the one before it is revoked. The certificate's id."""
    secure_files.private_folder(registry.folder)
    record = registry.folder / "claim.id"
    before = record.read_text().strip() if record.exists() else ""
    key, csr = certificate_authority.new_key()
    made = registry.iot("create_certificate_from_csr", certificateSigningRequest=csr, setAsActive=False)
    registry.iot("attach_policy", policyName=registry.names.claim_policy, target=made["certificateArn"])
    registry.iot("update_certificate", certificateId=made["certificateId"], newStatus="ACTIVE")
    secure_files.write(registry.folder / "claim.key", key, mode=secure_files.PRIVATE)
    secure_files.write(registry.folder / "claim.pem", made["certificatePem"], mode=secure_files.PRIVATE)
    secure_files.write(record, made["certificateId"], mode=secure_files.PRIVATE)
    if before:
        registry.iot("update_certificate", certificateId=before, newStatus="REVOKED")
    return str(made["certificateId"])


def _thing_type(iot: Paced, names: aws_policies.Names) -> None:
    try:
        iot("describe_thing_type", thingTypeName=names.thing_type)
    except ClientError:
        iot("create_thing_type", thingTypeName=names.thing_type)
        return
    raise _Present


def _policy(iot: Paced, name: str, wanted: aws_policies.Json) -> bool:
    text = json.dumps(wanted, separators=(",", ":"))
    try:
        present = iot("get_policy", policyName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        iot("create_policy", policyName=name, policyDocument=text)
        return True
    if json.loads(present["policyDocument"]) == wanted:
        return False
    versions = iot("list_policy_versions", policyName=name)["policyVersions"]
    if len(versions) >= _MOST_VERSIONS:
        oldest = min((one for one in versions if not one["isDefaultVersion"]), key=lambda one: int(one["versionId"]))
        iot("delete_policy_version", policyName=name, policyVersionId=oldest["versionId"])
    iot("create_policy_version", policyName=name, policyDocument=text, setAsDefault=True)
    return True


def _role(iam: Paced, name: str, service: str, rights: aws_policies.Json) -> bool:
    trust = json.dumps(aws_policies.assumed_by(service))

    def create() -> None:
        iam("create_role", RoleName=name, AssumeRolePolicyDocument=trust)

    new = _once(create)
    iam("put_role_policy", RoleName=name, PolicyName="milepost", PolicyDocument=json.dumps(rights))
    return new


def _hook(registry: AwsClients, names: aws_policies.Names) -> bool:
    functions = Paced(registry.client("lambda"), registry.settings.requests_per_second)
    code = _zipped(Path(__file__).with_name("aws_pre_provisioning_hook.py"))
    settings: dict[str, Any] = {
        "Runtime": _RUNTIME,
        "Role": names.role_arn(names.hook_role),
        "Handler": "hook.handler",
        "Environment": {"Variables": {"THING_TYPE": names.thing_type}},
        "Timeout": 5,
    }
    deadline = time.monotonic() + _ROLE_WAIT
    while True:  # a new role is not known to Lambda at once
        try:
            new = _once(
                lambda: functions("create_function", FunctionName=names.hook, Code={"ZipFile": code}, **settings)
            )
            break
        except ClientError:
            if time.monotonic() > deadline:
                raise
            time.sleep(2)
    if not new:
        functions("update_function_code", FunctionName=names.hook, ZipFile=code)
    permission = {"Action": "lambda:InvokeFunction", "Principal": "iot.amazonaws.com", "StatementId": "iot"}
    source = names.arn(f"provisioningtemplate/{names.template}")
    _once(lambda: functions("add_permission", FunctionName=names.hook, SourceArn=source, **permission))
    return new


def _template(registry: AwsClients, names: aws_policies.Names) -> bool:
    hook = f"arn:aws:lambda:{names.region}:{names.account}:function:{names.hook}"
    return _once(
        lambda: registry.iot(
            "create_provisioning_template",
            templateName=names.template,
            description="Milepost: a truck that was added, by its one-time token",
            templateBody=json.dumps(aws_policies.template(names)),
            enabled=True,
            provisioningRoleArn=names.role_arn(names.role),
            preProvisioningHook={"targetArn": hook, "payloadVersion": "2020-04-01"},
        )
    )


def _zipped(source: Path) -> bytes:
    """The function's archive: the same bytes for the same source."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        entry = zipfile.ZipInfo("hook.py", (2020, 1, 1, 0, 0, 0))
        entry.external_attr = 0o644 << 16
        file.writestr(entry, source.read_bytes())
    return archive.getvalue()


class _Present(Exception):
    """It is there already."""


_PRESENT = {"ResourceAlreadyExistsException", "EntityAlreadyExists", "ResourceConflictException"}


def _once(make: Callable[[], object]) -> bool:
    """Make a part; False if it is there already."""
    try:
        make()
    except _Present:
        return False
    except ClientError as error:
        if error.response["Error"]["Code"] in _PRESENT:
            return False
        raise
    return True
