"""The stream of the table of samples, as Lambda hands it on: what was stored, in each truck's order of storing."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

from collector.rows import StoredSample
from collector.stores.dynamodb.items import decode, read_sample


def stored_samples(records: Iterable[Mapping[str, Any]]) -> list[tuple[str, StoredSample]]:
    """The samples that were put, with their trucks.

    Args:
        records: of an event of DynamoDB Streams with new images; what is no new sample (a claim, a change, what
            expired) is left out.

    Returns:
        In the order of the records.
    """
    images = [deepcopy(record["dynamodb"]["NewImage"]) for record in records if record["eventName"] == "INSERT"]
    for item in images:
        decode(item)
    return [(item["truck_id"]["S"], read_sample(item)) for item in images if "place" not in item]
