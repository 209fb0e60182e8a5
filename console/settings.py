"""The `[console]` table of milepost.toml."""

from pathlib import Path

from pydantic import Field, field_validator, model_validator

from contract.settings import RoomSettings

_SHORTEST_KEY = 24


class ConsoleSettings(RoomSettings):
    """Who may see the console from elsewhere; requests of this machine itself need nothing.

    users: a password file, made by `milepost console user NAME`. session_hours: how long a sign-in lasts.
    read_keys: name → a key of 24 characters or more for programs (`Authorization: Bearer KEY`): they may read what a
    viewer may, and /metrics.
    proxy_user_header, proxy_role_header: headers in which an authenticating proxy says who asks, and whether as viewer
    or operator (a viewer where it says nothing); believed only of `[http] trusted_proxies`.
    """

    users: Path | None = None
    session_hours: float = 12
    read_keys: dict[str, str] = Field(default_factory=dict)
    proxy_user_header: str | None = None
    proxy_role_header: str | None = None

    @field_validator("read_keys")
    @classmethod
    def _are_long(cls, keys: dict[str, str]) -> dict[str, str]:
        if short := [name for name, key in keys.items() if len(key) < _SHORTEST_KEY]:
            raise ValueError(f"the key of {short[0]} is shorter than {_SHORTEST_KEY} characters")
        return keys

    @model_validator(mode="after")
    def _role_needs_user(self) -> "ConsoleSettings":
        if self.proxy_role_header and not self.proxy_user_header:
            raise ValueError("proxy_role_header needs proxy_user_header: name the header that says who asks")
        return self

    @property
    def is_open_elsewhere(self) -> bool:
        """Whether anybody can be let in who is not on this machine."""
        return bool(self.users or self.read_keys or self.proxy_user_header)
