"""The `[alerts]` table of milepost.toml."""

from pathlib import Path

from contract.settings import Room


class AlertSettings(Room):
    """rules: a TOML file of rules instead of the shipped ones."""

    rules: Path | None = None
