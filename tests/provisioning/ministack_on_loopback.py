"""ministack for these tests: its mutual-TLS port on the loopback interface, and CreateCertificateFromCsr over MQTT.

ministack 1.5 answers `$aws/certificates/create/json` only, where the key is made in the cloud. What is added here is
what AWS documents for `create-from-csr/json`: the same answer without a private key, for the request's key.
"""

import asyncio
import json
import secrets
import time
from typing import Any

from ministack.services import iot

_serve = asyncio.BaseEventLoop.create_server


async def on_loopback(self: Any, *args: Any, **options: Any) -> Any:
    if options.get("host") == "0.0.0.0":
        options["host"] = "127.0.0.1"
    return await _serve(self, *args, **options)


asyncio.BaseEventLoop.create_server = on_loopback

_TOPIC = "$aws/certificates/create-from-csr/json"
_parse, _reply = iot._parse_fleet_provisioning_topic, iot._fleet_provisioning_reply


def parse(topic: str) -> Any:
    return ("create-from-csr", None) if topic == _TOPIC else _parse(topic)


async def reply(  # noqa: PLR0913 - as the function that it replaces
    account: str, region: str, operation: str, template: str | None, payload: bytes, connection: dict[str, Any]
) -> Any:
    if operation != "create-from-csr":
        return await _reply(account, region, operation, template, payload, connection)
    certificate, key = iot._ensure_ca()
    try:
        pem = iot.sign_certificate_request(certificate, key, json.loads(payload)["certificateSigningRequest"])
    except (ValueError, KeyError):
        return iot._fleet_rejected("InvalidCertificateSigningRequest", "CSR violates constraints")
    found, token = iot.get_certificate_id(pem), secrets.token_urlsafe(48)
    with iot.request_scope(account, region):
        iot._certificates[found] = iot._certificate_record(found, pem, "PENDING_ACTIVATION")
        iot._ownership_tokens[token] = {"certificateId": found, "expiration": time.time() + 3600}
    return "accepted", {"certificateId": found, "certificatePem": pem, "certificateOwnershipToken": token}


iot._parse_fleet_provisioning_topic, iot._fleet_provisioning_reply = parse, reply

if __name__ == "__main__":
    from ministack.app import main

    main()
