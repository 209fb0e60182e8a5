"""What the operational figures mean that no mart holds: the table `operational_metrics.toml`."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Literal

_TABLE = Path(__file__).with_name("operational_metrics.toml")

System = Literal["prometheus", "cloudwatch"]


@cache
def operational_metrics() -> dict[System, dict[str, str]]:
    """The table.

    Returns:
        System → name → meaning. Prometheus' names are those of /metrics, CloudWatch's are namespace and name with a
        space between.
    """
    found: dict[System, dict[str, str]] = tomllib.loads(_TABLE.read_text(encoding="utf-8"))  # type: ignore[assignment]
    return found
