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
import ssl
import time
from collections.abc import Iterator
from typing import Any

_VERSION = 0xA0  # the first field of a certificate, where it has one
CONFIRM = "confirm"

log = logging.getLogger()
log.setLevel(logging.INFO)


def handler(event: dict[str, Any], context: object, iot: Any = None) -> dict[str, Any]:
    """Allow or deny one registration; the token is used up by the first key that it allows, and again good for that."""
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
    digest, expires, used = [*attributes.get("enroll", "").split("."), "", ""][:3]
    if not digest or digest != hashlib.sha256(token.encode()).hexdigest() or float(expires) < time.time():
        return False
    key = key_hash(str(event.get("certificatePem")))
    if used not in ("", key):
        return False
    if not used:
        # The version is what makes the token good for one key: of two at a time, one meets a conflict.
        left = {"attributes": {"enroll": f"{digest}.{expires}.{key}"}, "merge": True}
        iot.update_thing(thingName=name, attributePayload=left, expectedVersion=thing["version"])
    _revoke(iot, [_id(arn) for arn in principals])
    return True


def key_hash(certificate_pem: str) -> str:
    """SHA-256 of a certificate's public key: its SubjectPublicKeyInfo, as provisioning.certificate_authority has it."""
    der = ssl.PEM_cert_to_DER_cert(certificate_pem)
    fields = list(_parts(next(_parts(next(_parts(der))[1]))[1]))
    if fields[0][0] == _VERSION:
        fields = fields[1:]
    return hashlib.sha256(fields[5][2]).hexdigest()  # serial, algorithm, issuer, validity, subject, key


def _parts(der: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """The elements of DER that stand side by side: tag, content, and both with the length between them."""
    at = 0
    while at < len(der):
        start, length = at + 2, der[at + 1]
        if length & 0x80:
            start += length & 0x7F
            length = int.from_bytes(der[at + 2 : start], "big")
        yield der[at], der[start : start + length], der[at : start + length]
        at = start + length


def _revoke(iot: Any, certificates: list[str]) -> None:
    for one in certificates:
        iot.update_certificate(certificateId=one, newStatus="REVOKED")


def _id(principal: str) -> str:
    return principal.rsplit("/", 1)[-1]
