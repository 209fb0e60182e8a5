"""A ministack of our own with its IoT endpoint on loopback and policies enforced, and a truck that it knows."""

import json

from agent.transport.endpoint import EndpointLine, Tls
from tests.provisioning import aws

THING = "${iot:Connection.Thing.ThingName}"
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "iot:Connect", "Resource": f"arn:aws:iot:*:*:client/{THING}"},
        {
            "Effect": "Allow",
            "Action": ["iot:Publish", "iot:RetainPublish"],
            "Resource": [
                f"arn:aws:iot:*:*:topic/fleet/{THING}/*",
                f"arn:aws:iot:*:*:topic/$aws/rules/*/fleet/{THING}/*",
            ],
        },
        {
            "Effect": "Allow",
            "Action": ["iot:Subscribe", "iot:Receive"],
            "Resource": [
                f"arn:aws:iot:*:*:topicfilter/fleet/{THING}/*",
                f"arn:aws:iot:*:*:topic/fleet/{THING}/*",
            ],
        },
    ],
}  # fmt: skip


class Ministack(aws.Ministack):
    """Provisioning's, which also registers trucks."""

    def register(self, truck_id: str) -> EndpointLine:
        """A thing with a certificate and the policy, and its line here."""
        iot = self.client("iot")
        iot.create_thing(thingName=truck_id)
        made = iot.create_keys_and_certificate(setAsActive=True)
        iot.create_policy(policyName=f"truck-{truck_id}", policyDocument=json.dumps(POLICY))
        iot.attach_policy(policyName=f"truck-{truck_id}", target=made["certificateArn"])
        iot.attach_thing_principal(thingName=truck_id, principal=made["certificateArn"])
        ca, certificate, key = (self.folder / f"{truck_id}.{end}" for end in ("ca", "pem", "key"))
        ca.write_bytes((self.folder / "ca.pem").read_bytes())
        certificate.write_text(made["certificatePem"])
        key.write_text(made["keyPair"]["PrivateKey"])
        return EndpointLine("localhost", self.mqtt_port, truck_id, Tls(ca, certificate, key))
