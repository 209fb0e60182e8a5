"""The door of AWS IoT Core: publishes by its data plane, and reads the statuses that it keeps.

Answers come in the trucks' reports, which a client of AWS IoT can hear (`fleet/+/report` in the console's MQTT test
client); this door does not.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from contract import topics
from contract.errors import MilepostError, Unreachable
from provisioning.commands import Heard
from provisioning.registry.aws_client import AwsClients


class AwsIot:
    """Implements CommandDoor; use as a context."""

    hears_answers = False

    def __init__(self, clients: AwsClients) -> None:
        self._clients = clients

    def __enter__(self) -> "AwsIot":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held open."""

    def publish(self, truck_id: str, payload: bytes) -> None:
        """To the truck's command topic."""
        try:
            self._clients.data("publish", topic=topics.command(truck_id), qos=1, retain=False, payload=payload)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            raise Unreachable(
                f"AWS IoT took no command for {truck_id} ({code}): you need iot:Publish on topic/fleet/*/command"
            ) from None

    def statuses(self, truck_ids: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        """Those that AWS IoT keeps, a call for each."""
        found = {}
        for truck_id in truck_ids:
            try:
                kept = self._clients.data("get_retained_message", topic=topics.status(truck_id))
                document = json.loads(kept["payload"])
            except ClientError as error:
                if error.response["Error"]["Code"] != "ResourceNotFoundException":
                    raise Unreachable(f"AWS IoT does not tell its retained messages: {error}") from None
                continue
            except ValueError:
                continue
            except MilepostError as error:
                raise Unreachable(str(error)) from None
            found[truck_id] = document
        return found

    def heard(self, seconds: float) -> Iterator[Heard]:
        """Nothing."""
        return iter(())
