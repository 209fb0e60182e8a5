"""The collector's settings: the table `[collector]` of milepost.toml."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from contract.settings import RoomSettings


class CollectorSettings(RoomSettings):
    """Where the store is, what counts as a change, and how long a hole may be late.

    data_dir: `--data-dir` and MILEPOST_DATA_DIR override it. store: a store URL instead of the data directory's
    (MILEPOST_STORE). track: see docs/history.md (MILEPOST_TRACK). resend_after: seconds of grace before a hole is
    asked for.
    """

    data_dir: Path = Path("milepost-data")
    store: str | None = None
    track: str | dict[str, Any] | None = None
    resend_after: float = Field(default=10, gt=0)

    @property
    def store_url(self) -> str:
        """The store in use, as collector.stores.factory.open_store takes it."""
        return self.store or f"sqlite:///{self.data_dir / 'milepost.db'}"


def speak_to(aws: Mapping[str, str]) -> None:
    """From now on boto3 in this process means the AWS that these variables name, whatever the shell has set.

    Args:
        aws: names and values of the SDK's environment variables.
    """
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(aws)
