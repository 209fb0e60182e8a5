"""The `[commerce]` table of milepost.toml."""

from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from contract.errors import Misconfigured
from contract.settings import RoomSettings


class CommerceSettings(RoomSettings):
    """Where orders are kept, and who may write them.

    database: `sqlite:///…` or `postgresql://…`; None is commerce.db in the data directory. keys: key → the name of the
    producer that has it; with none, only requests of this machine itself may write or read.
    """

    database: str | None = None
    keys: dict[str, str] = Field(default_factory=dict)

    @field_validator("keys", mode="before")
    @classmethod
    def _are_usable(cls, keys: Any) -> Any:
        """Raises Misconfigured itself: pydantic's own errors would print the keys, which are secrets."""
        if not isinstance(keys, dict):
            raise Misconfigured("[commerce] keys must be a table of key = producer name")
        for number, (key, name) in enumerate(keys.items(), start=1):
            if not isinstance(key, str) or len(key) < 16 or not key.isascii() or not key.isprintable() or " " in key:
                raise Misconfigured(f"[commerce] keys: key {number} must be 16 or more printable ASCII characters")
            if not isinstance(name, str) or not name:
                raise Misconfigured(f"[commerce] keys: key {number} must name its producer")
        return keys

    def database_url(self, data_dir: Path) -> str:
        """The database in use.

        Args:
            data_dir: holds it where no server is set.

        Returns:
            A URL as `open_database` takes it.
        """
        return self.database or f"sqlite:///{data_dir / 'commerce.db'}"
