"""The MQTT topics between truck and cloud, and the limits that AWS IoT Core sets on them (docs/wire.md, "Topics")."""

import re

ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
"""What a truck_id and a stream_id must match, whole."""

MAX_PAYLOAD = 128 * 1024
"""Bytes in one MQTT message, IoT Core's limit."""

UPLINK = ("fleet/+/telemetry", "fleet/+/telemetry/batch", "fleet/+/report", "fleet/+/status")
"""Filters of every message of a truck that is kept."""

TIME_ASK = "fleet/+/time/ask"
"""Filter of the trucks' questions for the time, which a rule answers and nobody keeps."""


def telemetry(truck_id: str) -> str:
    """One sample a message."""
    return f"fleet/{truck_id}/telemetry"


def batch(truck_id: str) -> str:
    """`{"records": […]}`, up to MAX_PAYLOAD bytes."""
    return f"fleet/{truck_id}/telemetry/batch"


def report(truck_id: str) -> str:
    """What the truck holds, sent, thinned and lost: see contract.control_messages.Report."""
    return f"fleet/{truck_id}/report"


def status(truck_id: str) -> str:
    """Retained; also the last will: see contract.control_messages.Status."""
    return f"fleet/{truck_id}/status"


def resend(truck_id: str) -> str:
    """Cloud to truck: see contract.control_messages.Resend."""
    return f"fleet/{truck_id}/resend"


def config(truck_id: str) -> str:
    """Cloud to truck, retained: see contract.remote_config.Config."""
    return f"fleet/{truck_id}/config"


def time_ask(truck_id: str) -> str:
    """Truck to cloud, QoS 0: see contract.control_messages.TimeAsk."""
    return f"fleet/{truck_id}/time/ask"


def time(truck_id: str) -> str:
    """Cloud to truck, QoS 0, never retained: see contract.control_messages.TimeAnswer."""
    return f"fleet/{truck_id}/time"
