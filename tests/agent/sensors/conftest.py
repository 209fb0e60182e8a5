"""Where the recordings of real vehicles are; tests that need one are skipped where it is absent."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parents[3] / "../shared/data"


@pytest.fixture(scope="session")
def recording() -> Callable[[str], Path]:
    def find(name: str) -> Path:
        path = DATA / name
        if not path.exists():
            pytest.skip(f"the recording ../shared/data/{name} is not on this machine")
        return path

    return find


@pytest.fixture(scope="session")
def capture_stats(recording: Callable[[str], Path]) -> dict[str, Any]:
    """What an independent parser found in each CAN capture."""
    stats: dict[str, Any] = json.loads(recording("can_capture_stats.json").read_text())
    return stats
