"""The settings of `[iot_rules]`: what `rules deploy` puts for the placeholders, and which account it talks to."""

from pathlib import Path

from contract import settings


class RulesSettings(settings.Room):
    """role_arn, errors_bucket: for the documents' placeholders. endpoint_url: an emulator's, else AWS's own."""

    role_arn: str = ""
    errors_bucket: str = ""
    region: str = ""
    endpoint_url: str = ""


def load(config: Path | None = None) -> RulesSettings:
    """From the file and the environment (MILEPOST_IOT_RULES__ROLE_ARN, …). Raises Misconfigured."""
    return settings.load("iot_rules", RulesSettings, config)
