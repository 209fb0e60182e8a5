"""One AWS account in one region, as boto3 clients whose calls are paced."""

from functools import cached_property
from pathlib import Path
from typing import Any

from contract.errors import Misconfigured
from provisioning.command_key import CommandKey
from provisioning.registry.aws_policies import Names
from provisioning.registry.aws_throttling import Paced
from provisioning.settings import ProvisioningSettings


class AwsClients:
    """data_dir: where attempts and the claim are kept."""

    def __init__(self, settings: ProvisioningSettings, data_dir: Path) -> None:
        self.settings = settings
        self.folder = data_dir / "provisioning"
        self.command_key = CommandKey(self.folder)

    @cached_property
    def session(self) -> Any:
        """boto3's, with the settings' profile and region."""
        import boto3

        return boto3.Session(profile_name=self.settings.profile, region_name=self.settings.region)

    def client(self, service: str) -> Any:
        """A boto3 client that does not retry by itself (Paced does)."""
        return self.session.client(service, endpoint_url=self.settings.endpoint_url, config=_config())

    @cached_property
    def iot(self) -> Paced:
        """The control plane of AWS IoT."""
        return Paced(self.client("iot"), self.settings.requests_per_second)

    @cached_property
    def data(self) -> Paced:
        """What AWS IoT holds of messages and connections. What it says is welcome, not needed: it is not waited for."""
        endpoint = self.settings.endpoint_url
        if not endpoint:
            endpoint = f"https://{self.iot('describe_endpoint', endpointType='iot:Data-ATS')['endpointAddress']}"
        client = self.session.client("iot-data", endpoint_url=endpoint, config=_config())
        return Paced(client, self.settings.requests_per_second, patience=5.0)

    @cached_property
    def names(self) -> Names:
        """What Milepost's things are called here."""
        if not self.session.region_name:
            raise Misconfigured("no AWS region: set [provisioning] region, or AWS_REGION")
        identity = Paced(self.client("sts"), self.settings.requests_per_second)("get_caller_identity")
        return Names(self.settings.prefix, self.session.region_name, identity["Account"])


def _config() -> Any:
    from botocore.config import Config

    return Config(retries={"total_max_attempts": 1}, max_pool_connections=32)
