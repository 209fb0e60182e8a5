"""What the cloud may set on a truck, by the retained topic `fleet/{truck_id}/config` (docs/agent.md).

Every key but `config_version` may be left out: then the truck's own file decides. An unknown key or a value out of
bounds makes the truck refuse the whole document, with the reason in its status.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from contract.setting_bounds import (
    BatchBytes,
    Interval,
    Kibibytes,
    Megabytes,
    Publishes,
    Records,
    ReportInterval,
    SendInterval,
)

ConfigVersion = Annotated[int, Field(ge=0, le=2**63 - 1)] | Annotated[str, Field(min_length=1, max_length=64)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)


class LaneConfig(_Strict):
    """How fast samples may leave, over any second, and how many of the backlog go in one message."""

    publishes_per_second: Publishes | None = None
    kib_per_second: Kibibytes | None = None
    batch_records: Records | None = None
    batch_bytes: BatchBytes | None = None


class Config(_Strict):
    """One configuration of one truck.

    config_version: the truck confirms it in its status once it has run with it. interval: seconds between samples, at
    least 1. since_last: whether samples say what happened since the one before. send_interval: seconds that live
    samples may wait for others to go with in one message, 0 for at once. report_interval: seconds between reports.
    daily_budget: MB a day (UTC) that samples may cost, null for no bound.
    """

    config_version: ConfigVersion
    interval: Annotated[Interval, Field(ge=1)] | None = None
    since_last: bool | None = None
    send_interval: SendInterval | None = None
    report_interval: ReportInterval | None = None
    daily_budget: Megabytes | None = None
    lanes: LaneConfig | None = None
