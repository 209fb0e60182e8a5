"""The `[console]` table of milepost.toml."""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

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
    streets: a map with streets that is drawn below the trucks, instead of the one that ships: the URL of a MapLibre
    style, or of raster tiles with {z}, {x} and {y}. It is asked of another machine by whoever looks at a map, so what
    is looked at is told to it. streets_attribution: what its licence demands. streets_sources: other origins
    ("https://tiles.example.org") that the style names.
    poll_seconds: how often pages ask what is new, where what stands before the service lets no event stream through;
    without it they are told by one.
    """

    users: Path | None = None
    session_hours: float = 12
    read_keys: dict[str, str] = Field(default_factory=dict)
    proxy_user_header: str | None = None
    proxy_role_header: str | None = None
    streets: str | None = Field(default=None, pattern=r"^https?://[^\s;,'\"]+$")
    streets_attribution: str = ""
    streets_sources: tuple[Annotated[str, Field(pattern=r"^https?://[^\s;,'\"/]+$")], ...] = ()
    poll_seconds: float | None = Field(default=None, ge=1)

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
    def foreign_origins(self) -> tuple[str, ...]:
        """What the page may ask beside the service itself, for streets: nothing unless set."""
        if self.streets is None:
            return ()
        own = urlsplit(self.streets)
        return tuple(dict.fromkeys((f"{own.scheme}://{own.netloc}", *self.streets_sources)))

    @property
    def is_open_elsewhere(self) -> bool:
        """Whether anybody can be let in who is not on this machine."""
        return bool(self.users or self.read_keys or self.proxy_user_header)
