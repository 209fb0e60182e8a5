"""The provisioning template's hook, a Lambda function: this file is uploaded as it is, and imports only boto3.

Fleet provisioning alone lets whoever holds a claim register as any truck. This lets a claim register only a truck that
the operator added, with that truck's one-time token, and a truck's own certificate only that truck. What AWS hands in
as `claimCertificateId` is the certificate of the connection, not a claim of the sender's.

A truck that has proved its new certificate asks over it with the token `confirm`: its others are revoked, and nothing
is registered. (A truck has no other way to revoke one, and must have none that names another truck's.)
"""

import hashlib
import logging
import os
import time
from typing import Any

CONFIRM = "confirm"

log = logging.getLogger()
log.setLevel(logging.INFO)


def handler(event: dict[str, Any], context: object, iot: Any = None) -> dict[str, Any]:
    """Allow or deny one registration; the token is used up by the first that it allows."""
    import boto3

    iot = iot or boto3.client("iot")
    name = str(event.get("parameters", {}).get("ThingName", ""))
    try:
        allowed = _allowed(iot, event, name)
    except iot.exceptions.ClientError as error:
        log.warning("provisioning_failed truck_id=%s code=%s", name, error.response["Error"]["Code"])
        allowed = False
    log.info("provisioning truck_id=%s by=%s allowed=%s", name, event.get("claimCertificateId"), allowed)
    return {"allowProvisioning": allowed}


def _allowed(iot: Any, event: dict[str, Any], name: str) -> bool:
    thing = iot.describe_thing(thingName=name)
    attributes = thing.get("attributes", {})
    if thing.get("thingTypeName") != os.environ["THING_TYPE"] or attributes.get("state") != "active":
        return False
    token = str(event.get("parameters", {}).get("Token", ""))
    principals = iot.list_thing_principals(thingName=name)["principals"]
    presented = str(event.get("claimCertificateId"))
    if presented in {_id(arn) for arn in principals}:
        _revoke(iot, [_id(arn) for arn in principals if _id(arn) != presented])
        return token != CONFIRM
    digest, _, expires = attributes.get("enroll", "").partition(".")
    if not digest or digest != hashlib.sha256(token.encode()).hexdigest() or float(expires) < time.time():
        return False
    # The version is what makes the token good for once: of two at a time, one meets a conflict.
    left = {key: value for key, value in attributes.items() if key != "enroll"}
    iot.update_thing(
        thingName=name, attributePayload={"attributes": left, "merge": False}, expectedVersion=thing["version"]
    )
    _revoke(iot, [_id(arn) for arn in principals])
    return True


def _revoke(iot: Any, certificates: list[str]) -> None:
    for one in certificates:
        iot.update_certificate(certificateId=one, newStatus="REVOKED")


def _id(principal: str) -> str:
    return principal.rsplit("/", 1)[-1]
