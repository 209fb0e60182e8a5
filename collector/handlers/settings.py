"""What the template tells a function through its environment, beside the rooms' own MILEPOST_ variables."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from contract.errors import Misconfigured


@dataclass(frozen=True, slots=True)
class Streams:
    """Names of the two streams."""

    telemetry: str
    clicks: str

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ) -> "Streams":
        """From TELEMETRY_STREAM and CLICKS_STREAM. Raises Misconfigured."""
        try:
            return cls(environ["TELEMETRY_STREAM"], environ["CLICKS_STREAM"])
        except KeyError as missing:
            raise Misconfigured(f"the function's environment lacks {missing}: deploy/template.yaml sets it") from None
