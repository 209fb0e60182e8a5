"""The `[provisioning]` table of milepost.toml: which registry, and what the fleet's identities look like."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from contract.settings import RoomSettings

Days = Annotated[float, Field(gt=0, le=3650)]
AwsName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,36}$")]
RuleName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,128}$")]


class ProvisioningSettings(RoomSettings):
    """What `milepost provision` and the box's enrolment are told.

    registry: `local` (an own CA in the data directory) or `aws` (AWS IoT Core).
    certificate_days, token_hours: how long a new certificate and a new enrolment token live.
    prefix: of everything made in the AWS account. rules: topic rules that trucks may reach by Basic Ingest.
    region, endpoint_url, profile: for boto3. endpoint, ca: of the account's MQTT broker (mqtts://…; a PEM file), where
    they are not what AWS says and Amazon's root. requests_per_second: of each operation, below the
    account's limits.
    """

    registry: Literal["local", "aws"] = "local"
    certificate_days: Days = 90
    token_hours: Annotated[float, Field(gt=0, le=24 * 30)] = 24
    prefix: AwsName = "milepost"
    rules: tuple[RuleName, ...] = ()
    region: str | None = None
    endpoint_url: str | None = None
    profile: str | None = None
    endpoint: str | None = None
    ca: Path | None = None
    requests_per_second: Annotated[float, Field(gt=0, le=500)] = 10


class DataDir(BaseModel):
    """Where everything is kept: the one key of `[collector]` that this room needs."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    data_dir: Path = Path("milepost-data")
