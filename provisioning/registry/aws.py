"""The AWS IoT registry: a thing a truck, certificates from signing requests, one policy for all.

A thing's attributes hold what the registry must remember: `state`, `added_at`, and `enroll` (the hash and the end of a
one-time token). AWS makes a new certificate at every request, also for the same one, so an attempt is noted on disk
before it is made: after a crash in between, the certificate that nobody owns is found by its key and adopted.

Retired: the certificates are revoked and the connection is deleted. AWS takes up to some minutes to tell every host; a
new connection is refused at once.
"""

import hashlib
import secrets
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from contract.errors import MilepostError, Misconfigured, Rejected
from contract.timestamps import from_datetime, from_ms
from contract.topics import ID, status
from provisioning import certificate_authority, secure_files
from provisioning.errors import Unknown
from provisioning.registry import Certificate, Truck
from provisioning.registry.audit_log import Author, LogLine
from provisioning.registry.aws_client import AwsClients
from provisioning.registry.aws_throttling import Unanswered

_OWN = ("state", "added_at", "enroll")
_PENDING = ("ACTIVE", "PENDING_ACTIVATION")
_RECENT = 15 * 60
_ATTEMPTS = 5
_ATTRIBUTE = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.,@/:#-")


class AwsRegistry(AwsClients):
    """One account's fleet in one region."""

    workers = 8
    uses_claims = True
    after_init = ""
    author = Author("")  # CloudTrail knows who asked

    def init(self, *, dry_run: bool = False) -> list[str]:
        """Thing type, group, policies, roles, hook, template, claim."""
        from provisioning.registry.aws_account import missing, prepare

        return missing(self) if dry_run else prepare(self)

    def check(self, truck_id: str, attributes: Mapping[str, str]) -> None:
        """What `add` would refuse."""
        if not ID.fullmatch(truck_id):
            raise Rejected("truck_id", f"{truck_id!r:.70} must be 1 to 64 of A-Z, a-z, 0-9, _ and -")
        _check(attributes)

    def add(self, truck_id: str, attributes: Mapping[str, str]) -> bool:
        """Make a thing, or give it these attributes; True if it is new."""
        self.check(truck_id, attributes)
        try:
            thing = self._thing(truck_id)
        except Unknown:
            own = {"state": "active", "added_at": _now().replace("Z", "")}
            payload = {"attributes": {**attributes, **own}}
            self.iot("create_thing", thingName=truck_id, thingTypeName=self.names.thing_type, attributePayload=payload)
            return True
        if any(thing["attributes"].get(key) != value for key, value in attributes.items()):
            self._set(truck_id, dict(attributes))
        return False

    def get(self, truck_id: str) -> Truck:
        """One truck with all its certificates."""
        return self._seen(self._look_up(truck_id))

    def trucks(self) -> Iterator[Truck]:
        """All trucks by name. Some calls a truck: for a large fleet this takes its time."""
        things = self.iot.pages("list_things", "things", thingTypeName=self.names.thing_type, maxResults=250)
        ask = True
        for thing in sorted(things, key=lambda one: str(one["thingName"])):
            truck = self._truck(thing["thingName"], thing.get("attributes", {}))
            truck = self._seen(truck) if ask else replace(truck, last_seen_known=False)
            ask = truck.last_seen_known
            yield truck

    def _look_up(self, truck_id: str) -> Truck:
        return self._truck(truck_id, self._thing(truck_id).get("attributes", {}))

    def _seen(self, truck: Truck) -> Truck:
        """The truck with when it was seen, by the status that it or its will left; now, while that says `online`."""
        try:
            kept = self.data("get_retained_message", topic=status(truck.truck_id))
        except ClientError as error:
            return replace(truck, last_seen_known=error.response["Error"]["Code"] == "ResourceNotFoundException")
        except MilepostError:
            return replace(truck, last_seen_known=False)
        online = b'"online"' in kept["payload"]
        return replace(truck, last_seen=_now() if online else from_ms(kept["lastModifiedTime"]))

    def issue(self, truck_id: str, csr_pem: str) -> Certificate:
        """The active certificate for this request's key."""
        key_hash = certificate_authority.key_hash(certificate_authority.read_csr(csr_pem))
        truck = self._look_up(truck_id)
        if truck.state == "retired":
            raise Rejected("truck_id", f"{truck_id} is retired: `milepost provision truck reinstate {truck_id}` first")
        found = next((one for one in truck.certificates if one.key_hash == key_hash), None)
        if found and found.state == "revoked" and self._describe(found.id)["status"] == "REVOKED":
            raise Rejected("csr", "its key has been used before: make a new key")
        if found is None:
            if len(truck.active) > 1:
                self._revoke(truck.active[0].id)
            found = self._make(truck_id, csr_pem, key_hash)
        arn = self.names.arn(f"cert/{found.id}")
        self.iot("attach_thing_principal", thingName=truck_id, principal=arn)
        self.iot("attach_policy", policyName=self.names.truck_policy, target=arn)
        self.iot("update_certificate", certificateId=found.id, newStatus="ACTIVE")
        self._attempt(key_hash).unlink(missing_ok=True)
        return _certificate(self._describe(found.id), truck_id)

    def _make(self, truck_id: str, csr_pem: str, key_hash: str) -> Certificate:
        """A new certificate that is not active yet, or the one that an interrupted or unanswered attempt left."""
        mark = self._attempt(key_hash)
        for attempt in range(1, _ATTEMPTS + 1):
            if mark.exists() and (orphan := self._orphan(key_hash, since=mark.stat().st_mtime)):
                return _certificate(orphan, truck_id)
            secure_files.private_folder(self.folder)
            secure_files.private_folder(mark.parent)
            secure_files.write(mark, truck_id, mode=secure_files.PRIVATE)
            try:
                made = self.iot.once(
                    "create_certificate_from_csr", certificateSigningRequest=csr_pem, setAsActive=False
                )
            except Unanswered:
                if attempt == _ATTEMPTS:
                    raise
                continue
            break
        return _certificate(self._describe(made["certificateId"]), truck_id)

    def _orphan(self, key_hash: str, *, since: float) -> dict[str, Any] | None:
        """The certificate for this key that an attempt since then has made and nobody has activated."""
        marker: dict[str, str] = {}
        while True:
            page = self.iot("list_certificates", pageSize=250, ascendingOrder=False, **marker)
            for one in page["certificates"]:
                if one["creationDate"].timestamp() < since - _RECENT:
                    return None
                if one["status"] == "INACTIVE":
                    described = self._describe(one["certificateId"])
                    if certificate_authority.described(described["certificatePem"]).key_hash == key_hash:
                        return described
            if not page.get("nextMarker"):
                return None
            marker = {"marker": page["nextMarker"]}

    def revoke_others(self, truck_id: str, certificate_id: str) -> int:
        """Revoke every active certificate of the truck but this one."""
        active = [one.id for one in self._look_up(truck_id).active]
        if certificate_id not in active:
            raise Rejected("certificate", f"{certificate_id} is no active certificate of {truck_id}")
        others = [one for one in active if one != certificate_id]
        for one in others:
            self._revoke(one)
        return len(others)

    def retire(self, truck_id: str) -> int:
        """Revoke all certificates and end the connection."""
        active = self._look_up(truck_id).active
        self._set(truck_id, {"state": "retired", "enroll": ""})
        for one in active:
            self._revoke(one.id)
        with suppress(ClientError, MilepostError):  # not connected, or no such call: the revocation ends it
            self.data("delete_connection", clientId=truck_id)
        return len(active)

    def reinstate(self, truck_id: str) -> None:
        """Let the truck enrol again."""
        self._thing(truck_id)
        self._set(truck_id, {"state": "active"})

    def make_token(self, truck_id: str, *, hours: float) -> str:
        """A new one-time token, which replaces an unused one; the thing keeps its hash."""
        if self._look_up(truck_id).state == "retired":
            raise Rejected("truck_id", f"{truck_id} is retired: `milepost provision truck reinstate {truck_id}` first")
        token = "mpe_" + secrets.token_urlsafe(32)
        digest = hashlib.sha256(token.encode("ascii")).hexdigest()
        self._set(truck_id, {"enroll": f"{digest}.{int(time.time() + hours * 3600)}"})
        return token

    def claim(self) -> dict[str, str]:
        """The claim's certificate and key, as `init` or `claim` made them here."""
        certificate, key = self.folder / "claim.pem", self.folder / "claim.key"
        if not certificate.exists():
            raise Misconfigured("no claim on this machine: `milepost provision claim` makes one")
        return {
            "claim_certificate": certificate.read_text(),
            "claim_key": secure_files.read_private(key).decode("ascii"),
        }

    def introduction(self, truck_id: str) -> dict[str, str]:
        """For the enrolment file: CA, a new token, and the claim."""
        claim = self.claim()
        token = self.make_token(truck_id, hours=self.settings.token_hours)
        key = self.command_key.public()
        return {"ca": self.authority(), "token": token, **claim, **({"command_key": key} if key else {})}

    def office(self) -> dict[str, str]:
        """Where certificates come from."""
        return {"kind": "claim", "broker": self.broker(), "template": self.names.template}

    def transaction(self) -> AbstractContextManager[object]:
        """AWS knows no commits."""
        return nullcontext()

    def replace_claim(self) -> str:
        """A new claim; enrolment files that were not used yet end."""
        from provisioning.registry.aws_account import renew_claim

        return renew_claim(self)

    def ask_renewal(self, truck_id: str) -> None:
        """Trucks at AWS renew by themselves, and are not told to."""
        raise Misconfigured(f"AWS IoT cannot ask a truck to renew: on {truck_id}, `milepost agent enroll --renew`")

    def log(
        self, *, truck_id: str | None = None, action: str | None = None, before: int | None = None, limit: int = 100
    ) -> list[LogLine]:
        """CloudTrail keeps it."""
        raise Misconfigured("AWS CloudTrail keeps this log: `aws cloudtrail lookup-events` shows it")

    def note(self, action: str, truck_id: str | None = None, detail: str = "") -> None:
        """CloudTrail keeps the log."""

    def rotate_authority(self) -> bool:
        """The CA is Amazon's."""
        raise Misconfigured("AWS IoT has a CA of its own: there is nothing to change")

    def behind(self) -> list[str]:
        """None: the CA is Amazon's."""
        return []

    def finish_rotation(self) -> None:
        """The CA is Amazon's."""
        self.rotate_authority()

    def warnings(self, days: float) -> list[str]:
        """AWS looks after its own CA."""
        return []

    def broker(self) -> str:
        """Where trucks connect."""
        if self.settings.endpoint:
            return self.settings.endpoint
        return f"mqtts://{self.iot('describe_endpoint', endpointType='iot:Data-ATS')['endpointAddress']}:8883"

    def authority(self) -> str:
        """Amazon's root, or what `[provisioning] ca` names."""
        if self.settings.ca:
            return self.settings.ca.read_text(encoding="ascii")
        for one in ssl.create_default_context().get_ca_certs(binary_form=True):
            pem = ssl.DER_cert_to_PEM_cert(one)
            if certificate_authority.names_itself(pem, "Amazon Root CA 1"):
                return pem
        raise Misconfigured("this machine does not have Amazon Root CA 1: set [provisioning] ca to its PEM file")

    def close(self) -> None:
        """Nothing is held open."""

    def _truck(self, truck_id: str, attributes: Mapping[str, str]) -> Truck:
        principals = self.iot("list_thing_principals", thingName=truck_id)["principals"]
        described = [self._describe(arn.rsplit("/", 1)[-1]) for arn in principals if ":cert/" in arn]
        described.sort(key=lambda one: one["creationDate"], reverse=True)
        return Truck(
            truck_id=truck_id,
            state="retired" if attributes.get("state") == "retired" else "active",
            added_at=attributes.get("added_at", ""),
            attributes={key: value for key, value in attributes.items() if key not in _OWN},
            certificates=tuple(_certificate(one, truck_id) for one in described),
        )

    def _thing(self, truck_id: str) -> dict[str, Any]:
        try:
            thing = self.iot("describe_thing", thingName=truck_id)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                raise Unknown(truck_id) from None
            raise
        if thing.get("thingTypeName") != self.names.thing_type:
            raise Misconfigured(f"the thing {truck_id} in this account is not one of Milepost's: rename the truck")
        return thing

    def _set(self, truck_id: str, attributes: dict[str, str]) -> None:
        """Merge attributes into a thing's; an empty text removes one."""
        self.iot("update_thing", thingName=truck_id, attributePayload={"attributes": attributes, "merge": True})

    def _describe(self, certificate_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.iot("describe_certificate", certificateId=certificate_id)["certificateDescription"]
        return found

    def _revoke(self, certificate_id: str) -> None:
        self.iot("update_certificate", certificateId=certificate_id, newStatus="REVOKED")

    def _attempt(self, key_hash: str) -> Path:
        return self.folder / "attempts" / key_hash


def _certificate(described: dict[str, Any], truck_id: str) -> Certificate:
    issued = certificate_authority.described(described["certificatePem"])
    return Certificate(
        id=described["certificateId"],
        truck_id=truck_id,
        key_hash=issued.key_hash,
        issued_at=from_datetime(described["creationDate"]),
        not_after=from_datetime(issued.not_after),
        state="active" if described["status"] in _PENDING else "revoked",
        pem=described["certificatePem"],
    )


def _check(attributes: Mapping[str, str]) -> None:
    for key, value in attributes.items():
        if key in _OWN or not set(key) <= _ATTRIBUTE or len(key) > 128:
            raise Rejected("attributes", f"{key!r:.60} cannot be an attribute's name on AWS")
        if not set(value) <= _ATTRIBUTE or len(value) > 800:
            raise Rejected("attributes", f"{key}: {value!r:.60} must be of letters, digits and _.,@/:#- on AWS")


def _now() -> str:
    return from_datetime(datetime.now(UTC))
