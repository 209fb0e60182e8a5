"""The recordings of real vehicles, as fixtures."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import recordings


@pytest.fixture(scope="session")
def recording() -> Callable[[str], Path]:
    return recordings.recording


@pytest.fixture(scope="session")
def capture_stats(recording: Callable[[str], Path]) -> dict[str, Any]:
    """What an independent parser found in each CAN capture."""
    stats: dict[str, Any] = json.loads(recording("can_capture_stats.json").read_text())
    return stats
