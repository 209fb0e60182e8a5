"""A scenario as a document: which trucks, what goes wrong when, in TOML. `simulator/scenarios/` is the gallery."""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from contract.errors import Misconfigured

GALLERY = Path(__file__).resolve().parent.parent / "scenarios"

_Seconds = Annotated[float, Field(gt=0, le=86_400)]
_Odds = Annotated[float, Field(ge=0, le=1)]

Kind = Literal[
    "broker_killed", "partition", "outage", "slow_line", "slow_store", "throttled_stream", "disorder", "full_disk",
    "certificates_expired", "service_killed", "trucks_killed", "narrow_link", "link_down",
]  # fmt: skip

ON_A_LINK = frozenset({"narrow_link", "link_down"})
"""Kinds for which the trucks live in a network namespace."""


class PlannedFault(BaseModel):
    """One thing that goes wrong. at: wall seconds after all trucks are connected; seconds: how long it lasts.

    forget: (broker_killed) what the broker had on disk is gone too. delay_ms, bytes_per_second, cut: (slow_line) for
    each connection; cut is the odds for each piece of data that the connection breaks off. double, reorder: (disorder)
    odds for each message. busy: (slow_store) the share of the time during which another process holds the store.
    bytes_per_second: (throttled_stream) between the doors and the stream; (narrow_link) for all trucks together.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    at: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    seconds: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    forget: bool = False
    delay_ms: Annotated[float, Field(ge=0, le=60_000)] = 0.0
    bytes_per_second: Annotated[float, Field(ge=0)] = 0.0
    cut: _Odds = 0.0
    double: _Odds = 0.0
    reorder: _Odds = 0.0
    busy: _Odds = 0.9


class Scenario(BaseModel):
    """One run. interval: simulated seconds between a truck's samples; speedup: simulated seconds in a wall second.

    seconds: wall time from all being connected to the end of sampling. settle: wall seconds that the balance may take
    after that. tls: mutual TLS, an identity each. mode: as of `simulate trucks`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: Annotated[str, Field(min_length=1, max_length=120)]
    trucks: Annotated[int, Field(ge=1, le=20_000)] = 20
    interval: _Seconds = 1.0
    speedup: Annotated[float, Field(gt=0, le=10_000)] = 1.0
    seconds: _Seconds = 60.0
    settle: _Seconds = 60.0
    seed: int = 1
    tls: bool = False
    mode: Literal["fleet", "full"] = "fleet"
    faults: list[PlannedFault] = Field(default_factory=list)

    @model_validator(mode="after")
    def _possible(self) -> "Scenario":
        kinds = {fault.kind for fault in self.faults}
        if self.tls and "disorder" in kinds:
            raise ValueError("faults: disorder needs tls = false: packets under TLS cannot be told apart")
        if self.tls and kinds & ON_A_LINK:
            raise ValueError("faults: narrow_link and link_down need tls = false: certificates name 127.0.0.1")
        if "certificates_expired" in kinds and not self.tls:
            raise ValueError("faults: certificates_expired needs tls = true")
        late = [fault.kind for fault in self.faults if fault.at + fault.seconds > self.seconds]
        if late:
            raise ValueError(f"faults: {', '.join(late)} ends after the run's {self.seconds:g} seconds")
        return self

    def shortened(self, trucks: int, seconds: float) -> "Scenario":
        """The same with at most so many trucks and wall seconds, its faults in proportion: for a quick look."""
        share = min(1.0, seconds / self.seconds)
        faults = [
            fault.model_copy(update={"at": fault.at * share, "seconds": fault.seconds * share}) for fault in self.faults
        ]
        return self.model_copy(
            update={
                "trucks": min(self.trucks, trucks),
                "seconds": self.seconds * share,
                "faults": faults,
            }
        )


def gallery() -> dict[str, Path]:
    """name → file of every scenario that comes with Milepost."""
    return {path.stem: path for path in sorted(GALLERY.glob("*.toml"))}


def load(name: str) -> Scenario:
    """A scenario of the gallery, or a file. Raises Misconfigured, naming the field and what it may be."""
    path = gallery().get(name) or Path(name)
    try:
        document: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise Misconfigured(f"no scenario {name!r}: give a file, or one of {', '.join(gallery())}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path} is no TOML: {error}") from None
    try:
        return Scenario.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "scenario"
        raise Misconfigured(f"{path}: {where}: {first['msg']}") from None
