"""Settings that a truck's own file and the cloud may give alike, with the bounds that hold for both."""

from typing import Annotated

from contract.plain_settings import Bounds

Interval = Annotated[float, Bounds(gt=0, le=86_400)]
SendInterval = Annotated[float, Bounds(ge=0, le=86_400)]
ReportInterval = Annotated[float, Bounds(ge=10, le=86_400)]
Megabytes = Annotated[float, Bounds(gt=0, le=1_000_000)]
Publishes = Annotated[float, Bounds(ge=0.1, le=1_000_000)]
"""Messages a second: at one in ten seconds, a sample a minute and what belongs to it still pass."""
Kibibytes = Annotated[float, Bounds(ge=1, le=10_000_000)]
Records = Annotated[int, Bounds(ge=1, le=1000)]
BatchBytes = Annotated[int, Bounds(ge=1000, le=120_000)]
