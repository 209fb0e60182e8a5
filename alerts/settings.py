"""The `[alerts]` table of milepost.toml."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from alerts.day_span import Span, ZoneName
from contract.settings import RoomSettings

SEVERITIES = ("info", "warning", "critical")
_NEEDS = {"webhook": ("url", "secret"), "email": ("server", "sender", "to"), "sns": ("topic_arn",)}


class Receiver(BaseModel):
    """Who is told, and how: a `[[alerts.receivers]]` table.

    name: by which its messages are kept. at_least: the lowest severity that it wants. quiet: "22:00-06:00" in `zone`:
    what is not critical waits until the end of it. wait_seconds: how long a message waits for others of its rule, so
    that fifty trucks behind one dead antenna are one message.
    webhook: url, and a secret of 24 characters or more that signs each request (docs/alerts.md).
    email: server ("host:port"), tls ("starttls", "tls", or "none" for a server on this machine), user and password
    where it asks for them, sender, to.
    sns: topic_arn; region and credentials as AWS's own variables say.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    kind: Literal["webhook", "email", "sns"]
    at_least: Literal["info", "warning", "critical"] = "info"
    quiet: Span | None = None
    zone: ZoneName = "UTC"
    wait_seconds: float = Field(default=10, ge=0)
    url: str | None = Field(default=None, pattern=r"^https?://")
    secret: str | None = Field(default=None, min_length=24)
    server: str | None = Field(default=None, pattern=r"^[^:/]+:\d{1,5}$")
    tls: Literal["starttls", "tls", "none"] = "starttls"
    user: str | None = None
    password: str | None = None
    sender: str | None = None
    to: tuple[str, ...] = ()
    topic_arn: str | None = None

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> "Receiver":
        missing = [name for name in _NEEDS[self.kind] if not getattr(self, name)]
        if missing:
            raise ValueError(f"a receiver of kind {self.kind} needs {' and '.join(missing)}")
        return self


class AlertSettings(RoomSettings):
    """rules: a TOML file of rules instead of the shipped ones. receivers: who is told."""

    rules: Path | None = None
    receivers: tuple[Receiver, ...] = ()

    @model_validator(mode="after")
    def _names_are_different(self) -> "AlertSettings":
        names = [receiver.name for receiver in self.receivers]
        if len(set(names)) < len(names):
            raise ValueError("two receivers have one name")
        return self
