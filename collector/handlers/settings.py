"""What the template tells a function through its environment, beside the rooms' own MILEPOST_ variables."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contract.errors import Misconfigured, Unreachable


@dataclass(frozen=True, slots=True)
class Streams:
    """Names of the two streams."""

    telemetry: str
    clicks: str

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ) -> "Streams":
        """From TELEMETRY_STREAM and CLICKS_STREAM. Raises Misconfigured."""
        try:
            return cls(environ["TELEMETRY_STREAM"], environ["CLICKS_STREAM"])
        except KeyError as missing:
            raise Misconfigured(f"the function's environment lacks {missing}: deploy/template.yaml sets it") from None


def secrets(environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """The beacon's settings that lie in Secrets Manager, under the name or ARN in BEACON_SECRET; none without it.

    Raises:
        Unreachable: it cannot be read.
        Misconfigured: it is no JSON object.
    """
    name = environ.get("BEACON_SECRET")
    if not name:
        return {}
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        text = boto3.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"]
    except (BotoCoreError, ClientError) as error:
        raise Unreachable(f"the beacon's secret cannot be read: {error}: grant secretsmanager:GetSecretValue") from None
    try:
        said = json.loads(text)
    except ValueError:
        said = None
    if not isinstance(said, dict):  # what it holds is not for a log
        raise Misconfigured("the beacon's secret must be a JSON object with identity_secret and telemetry_keys")
    return said
