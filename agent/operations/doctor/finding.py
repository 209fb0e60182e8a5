"""What a check of `doctor` finds, and the shape of a check."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from agent.settings import AgentSettings

State = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    """What one check found. remedy: what to do, one sentence; empty where all is well."""

    check: str
    state: State
    found: str
    remedy: str = ""


Check = Callable[[AgentSettings], Iterator[DoctorFinding]]
