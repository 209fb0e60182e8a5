"""The settings of `[iot_rules]`: what `rules deploy` puts for the placeholders, and which account it talks to."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from contract import settings


class RulesSettings(settings.RoomSettings):
    """role_arn, errors_bucket: for the documents' placeholders. endpoint_url: an emulator's, else AWS's own. stack: the
    value of the tag `milepost:stack` by which a rule belongs to this deployment."""

    role_arn: str = ""
    errors_bucket: str = ""
    region: str = ""
    endpoint_url: str = ""
    stack: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:/=+@-]{1,256}$")] = "milepost"


def load(config: Path | None = None) -> RulesSettings:
    """From the file and the environment (MILEPOST_IOT_RULES__ROLE_ARN, …). Raises Misconfigured."""
    return settings.load("iot_rules", RulesSettings, config)
