"""The AsyncAPI document of the topics: MQTT between truck and cloud, Kafka between doors and collector.

`python -m contract.schema` writes it beside the schemas, to which it refers; a test fails when it drifts.
"""

import json
from typing import Any

from contract import topics

VERSION = "3.0.0"
_TRUCK = {
    "truckId": {"description": "The truck; on MQTT its client id and its certificate's name too"},
}
_UP = "From the truck to the cloud, QoS 1"
_DOWN = "From the cloud to the truck"
_MQTT: dict[str, tuple[str, str, str, str]] = {
    # channel: (topic, schema, direction of the truck, what it is)
    "telemetry": (topics.telemetry("{truckId}"), "telemetry", "send", f"{_UP}: one sample"),
    "telemetryBatch": (topics.batch("{truckId}"), "telemetry-batch", "send", f"{_UP}: waiting samples, up to 128 KB"),
    "report": (topics.report("{truckId}"), "report", "send", f"{_UP}: what the truck holds, has thinned and has lost"),
    "status": (topics.status("{truckId}"), "status", "send", f"{_UP}, retained; also the last will"),
    "resend": (topics.resend("{truckId}"), "resend", "receive", f"{_DOWN}, QoS 1: numbers that are missing"),
    "config": (topics.config("{truckId}"), "config", "receive", f"{_DOWN}, QoS 1, retained: remote settings"),
    "command": (topics.command("{truckId}"), "command", "receive", f"{_DOWN}, QoS 1: a signed command, answered once"),
    "timeAsk": (topics.time_ask("{truckId}"), "time-ask", "send", "From a truck without a clock to trust, QoS 0"),
    "time": (topics.time("{truckId}"), "time", "receive", f"{_DOWN}, QoS 0: the answer of a rule"),
}
_ENVELOPE: dict[str, Any] = {
    "type": "object",
    "required": ["data", "received_at"],
    "properties": {
        "data": {"type": "string", "contentEncoding": "base64", "description": "The MQTT payload, byte for byte"},
        "truck_id": {"type": "string", "pattern": topics.ID.pattern, "description": "As the topic names it"},
        "client_id": {"type": "string"},
        "received_at": {"type": "integer", "description": "Unix milliseconds of arrival at the broker's rule"},
        "kind": {"enum": ["report", "status"], "description": "Absent for samples and batches of them"},
    },
}
_POSTED: dict[str, Any] = {
    "type": "object",
    "required": ["door", "received_at", "body"],
    "properties": {
        "door": {"enum": ["http:clicks", "http:telemetry"]},
        "received_at": {"type": "integer", "description": "Unix milliseconds of arrival at the door"},
        "truck_id": {"type": "string", "description": "Whom the key vouched for"},
        "body": {
            "type": "string",
            "description": 'JSON text: {"events": […]} or {"records": […]}, each as it was posted',
        },
    },
}


def generate() -> str:
    """The document, as JSON text."""
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for name, (address, schema, action, said) in _MQTT.items():
        payload = {"$ref": f"./{schema}.schema.json"}
        channels[name] = _channel(address, said, {name: payload}, parameters=_TRUCK, servers=["mqtt"])
        operations[name] = {"action": action, "channel": {"$ref": f"#/channels/{name}"}}
    channels["telemetryStream"] = _channel(
        "{prefix}-telemetry",
        "Everything of trucks, key: the truck_id; at least once, in order by key",
        {"rule": _ENVELOPE, "posted": _POSTED},
        parameters={"prefix": {"default": "milepost", "description": "Of `up --stream kafka://HOST:PORT/PREFIX`"}},
        servers=["kafka"],
    )
    channels["clicksStream"] = _channel(
        "{prefix}-clicks",
        "Shop events, key: the session; at least once",
        {"posted": _POSTED, "event": {"$ref": "./click.schema.json"}},
        parameters={"prefix": {"default": "milepost", "description": "Of `up --stream kafka://HOST:PORT/PREFIX`"}},
        servers=["kafka"],
    )
    for name in ("telemetryStream", "clicksStream"):
        operations[name] = {"action": "receive", "channel": {"$ref": f"#/channels/{name}"}}
    document = {
        "asyncapi": VERSION,
        "info": {
            "title": "Milepost's topics",
            "version": "1",
            "description": "Operations are named from the side of the truck (MQTT) and of the collector (Kafka).",
        },
        "defaultContentType": "application/json",
        "servers": {
            "mqtt": {"host": "localhost:8883", "protocol": "mqtts", "description": "A broker with mutual TLS"},
            "kafka": {"host": "localhost:9092", "protocol": "kafka", "description": "See docs/scale.md"},
        },
        "channels": channels,
        "operations": operations,
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _channel(
    address: str, said: str, messages: dict[str, Any], *, parameters: dict[str, Any], servers: list[str]
) -> dict[str, Any]:
    return {
        "address": address,
        "description": said,
        "servers": [{"$ref": f"#/servers/{name}"} for name in servers],
        "parameters": parameters,
        "messages": {name: {"payload": payload} for name, payload in messages.items()},
    }
