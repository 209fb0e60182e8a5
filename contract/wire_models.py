"""The models of everything on the wire, by the name of their schema."""

from pydantic import BaseModel

from contract.click_schema import Click, ClickBatch
from contract.control_messages import CommandText, Report, Resend, SignedCommand, Status, TimeAnswer, TimeAsk
from contract.remote_config import Config
from contract.telemetry import Telemetry, TelemetryBatch

MODELS: dict[str, type[BaseModel]] = {
    "telemetry": Telemetry,
    "telemetry-batch": TelemetryBatch,
    "click": Click,
    "click-batch": ClickBatch,
    "report": Report,
    "status": Status,
    "resend": Resend,
    "config": Config,
    "command": SignedCommand,
    "command-text": CommandText,
    "time-ask": TimeAsk,
    "time": TimeAnswer,
}
