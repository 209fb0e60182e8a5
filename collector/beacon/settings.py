"""The `[beacon]` table of milepost.toml."""

import secrets
from typing import Any

from pydantic import Field, field_validator

from contract.errors import Misconfigured
from contract.settings import Room
from contract.topics import ID


class BeaconSettings(Room):
    """telemetry_keys: key → the truck_id that it vouches for; empty: anyone may post for any truck."""

    telemetry_keys: dict[str, str] = Field(default_factory=dict)

    def closed(self) -> "BeaconSettings":
        """The same, but where there are no keys nobody may post telemetry, instead of anyone."""
        return self if self.telemetry_keys else BeaconSettings(telemetry_keys={secrets.token_hex(32): "nobody"})

    @field_validator("telemetry_keys", mode="before")
    @classmethod
    def _known_trucks(cls, keys: Any) -> Any:
        """Raises Misconfigured itself: pydantic's own errors would print the keys, which are secrets."""
        if not isinstance(keys, dict):
            raise Misconfigured("[beacon] telemetry_keys must be a table of key = truck_id")
        for number, (key, truck_id) in enumerate(keys.items(), start=1):
            if not isinstance(key, str) or not key or not key.isascii() or not key.isprintable() or " " in key:
                raise Misconfigured(f"[beacon] telemetry_keys: key {number} must be printable ASCII without spaces")
            if not isinstance(truck_id, str) or not ID.fullmatch(truck_id):
                raise Misconfigured(
                    f"[beacon] telemetry_keys: the truck_id of key {number} must be 1 to 64 of A-Z a-z 0-9 _ -"
                )
        return keys
