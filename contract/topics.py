"""The MQTT topics between truck and cloud, and the limits that AWS IoT Core sets on them (docs/wire.md, "Topics")."""

import re

ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
"""What a truck_id and a stream_id must match, whole."""

MAX_PAYLOAD = 128 * 1024
"""Bytes in one MQTT message, IoT Core's limit."""

LIVE = "fleet/+/telemetry"
"""Filter of the samples that are sent one by one, as they are taken."""

UPLINK = (LIVE, "fleet/+/telemetry/batch", "fleet/+/report", "fleet/+/status")
"""Filters of every message of a truck that is kept."""

TIME_ASK = "fleet/+/time/ask"
"""Filter of the trucks' questions for the time, which a rule answers and nobody keeps."""


def telemetry(truck_id: str) -> str:
    """What samples are published to, one by one.

    Args:
        truck_id: of the wire's form.

    Returns:
        Truck to cloud, one sample a message.
    """
    return f"fleet/{truck_id}/telemetry"


def batch(truck_id: str) -> str:
    """What samples are published to, many at a time.

    Args:
        truck_id: of the wire's form.

    Returns:
        Truck to cloud, `{"records": […]}`, up to MAX_PAYLOAD bytes.
    """
    return f"fleet/{truck_id}/telemetry/batch"


def report(truck_id: str) -> str:
    """What a truck tells of its buffer on.

    Args:
        truck_id: of the wire's form.

    Returns:
        Truck to cloud: contract.control_messages.Report.
    """
    return f"fleet/{truck_id}/report"


def status(truck_id: str) -> str:
    """What a truck tells of its connection on.

    Args:
        truck_id: of the wire's form.

    Returns:
        Truck to cloud, retained, also the last will: contract.control_messages.Status.
    """
    return f"fleet/{truck_id}/status"


def resend(truck_id: str) -> str:
    """What a truck is asked for missing samples on.

    Args:
        truck_id: of the wire's form.

    Returns:
        Cloud to truck: contract.control_messages.Resend.
    """
    return f"fleet/{truck_id}/resend"


def config(truck_id: str) -> str:
    """What a truck is given its settings on.

    Args:
        truck_id: of the wire's form.

    Returns:
        Cloud to truck, retained: contract.remote_config.Config.
    """
    return f"fleet/{truck_id}/config"


def command(truck_id: str) -> str:
    """What a truck is told what to do on.

    Args:
        truck_id: of the wire's form.

    Returns:
        Cloud to truck, QoS 1, never retained: contract.commands.SignedCommand.
    """
    return f"fleet/{truck_id}/command"


def time_ask(truck_id: str) -> str:
    """What a truck asks for the time on.

    Args:
        truck_id: of the wire's form.

    Returns:
        Truck to cloud, QoS 0: contract.control_messages.TimeAsk.
    """
    return f"fleet/{truck_id}/time/ask"


def time(truck_id: str) -> str:
    """What the answer to that comes on.

    Args:
        truck_id: of the wire's form.

    Returns:
        Cloud to truck, QoS 0, never retained: contract.control_messages.TimeAnswer.
    """
    return f"fleet/{truck_id}/time"
