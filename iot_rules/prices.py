"""AWS's list prices, and the steps in which they are charged: the one table, for `milepost rules check` and `cost`.

prices.json has each price per unit in dollars, the date, the region, and where each price was found.
"""

import json
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


class Delivery(NamedTuple):
    """What one message into a service costs beside the rule. step: bytes of one unit; 0: whatever the size."""

    dollars: float
    step: int


@cache
def prices() -> dict[str, Any]:
    """Name → dollars per unit; also `as_of`, `region`, `currency` and `sources`."""
    loaded: dict[str, Any] = json.loads((resources.files("iot_rules") / "prices.json").read_text("utf-8"))
    return loaded


def steps(size: float, step: int) -> int:
    """Units that are charged for so many bytes: at least one."""
    return max(1, ceil(size / step)) if step else 1


@cache
def deliveries() -> dict[str, Delivery]:
    """Kind of a rule's action → its price. Storage, shard hours and running time come on top."""
    price = prices()
    return {
        "kinesis": Delivery(price["kinesis_put_unit_25kb"], KINESIS_STEP),
        "firehose": Delivery(price["firehose_gb"] * IOT_STEP / GB, IOT_STEP),
        "dynamoDBv2": Delivery(price["dynamodb_write_unit"], 1024),
        "sqs": Delivery(price["sqs_request"], 64 * 1024),
        "s3": Delivery(price["s3_put"], 0),
        "lambda": Delivery(price["lambda_request"], 0),
        "republish": Delivery(price["iot_message_5kb"], IOT_STEP),
    }
