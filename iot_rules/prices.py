"""AWS's list prices, and the steps in which they are charged: the one table, for `milepost rules check` and `cost`.

prices.json has each price per unit in dollars, the date, the region, and where each price was found.
"""

import json
from collections.abc import Sequence
from functools import cache
from importlib import resources
from math import ceil
from typing import Any, NamedTuple

HOURS = 730
"""Of a month, as AWS counts one."""
MINUTES = HOURS * 60
GB = 2**30
IOT_STEP = 5 * 1024
"""AWS IoT (messages, rules, actions) and Firehose round each message and record up to 5 KB."""
KINESIS_STEP = 25 * 1024
USED = 0.7
"""The part of provisioned capacity that is used: what the tables' scaling aims at (deploy/capacity.py)."""


class DeliveryPrice(NamedTuple):
    """What one message into a service costs beside the rule. step: bytes of one unit; 0: whatever the size."""

    dollars: float
    step: int


@cache
def prices() -> dict[str, Any]:
    """The one table of list prices (prices.json).

    Returns:
        Name → dollars per unit; also `as_of`, `region`, `currency` and `sources`.
    """
    loaded: dict[str, Any] = json.loads((resources.files("iot_rules") / "prices.json").read_text("utf-8"))
    return loaded


def steps(size: float, step: int) -> int:
    """Units that are charged for so many bytes.

    Args:
        size: bytes.
        step: bytes of one unit; 0: one unit whatever the size.

    Returns:
        At least one.
    """
    return max(1, ceil(size / step)) if step else 1


def connection() -> float:
    """Dollars a month of a truck that is always connected.

    Returns:
        At list price, connected all day.
    """
    return float(MINUTES * prices()["iot_connection_minute"])


def message(size: float) -> float:
    """Dollars of one message through the broker.

    Args:
        size: bytes of its payload.

    Returns:
        At list price; charged in steps of 5 KB.
    """
    return float(steps(size, IOT_STEP) * prices()["iot_message_5kb"])


def rule(size: float, sent: float, kinds: Sequence[str]) -> tuple[float, float]:
    """Dollars of one message through one rule.

    Args:
        size: bytes of the message's payload.
        sent: bytes of what the rule's statement makes of it.
        kinds: of its actions, such as `kinesis`.

    Returns:
        What the rule and its actions cost, and what the services that they deliver to charge for the delivery.
    """
    price = prices()
    dollars = steps(size, IOT_STEP) * price["iot_rule_triggered"]
    dollars += len(kinds) * steps(sent, IOT_STEP) * price["iot_action"]
    known = [deliveries()[kind] for kind in kinds if kind in deliveries()]
    return dollars, sum(steps(sent, each.step) * each.dollars for each in known)


@cache
def deliveries() -> dict[str, DeliveryPrice]:
    """Kind of a rule's action → its price. Storage, shard hours and running time come on top."""
    price = prices()
    return {
        "kinesis": DeliveryPrice(price["kinesis_put_unit_25kb"], KINESIS_STEP),
        "firehose": DeliveryPrice(price["firehose_gb"] * IOT_STEP / GB, IOT_STEP),
        "dynamoDBv2": DeliveryPrice(price["dynamodb_write_unit"], 1024),
        "sqs": DeliveryPrice(price["sqs_request"], 64 * 1024),
        "s3": DeliveryPrice(price["s3_put"], 0),
        "lambda": DeliveryPrice(price["lambda_request"], 0),
        "republish": DeliveryPrice(price["iot_message_5kb"], IOT_STEP),
    }
