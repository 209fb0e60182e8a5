"""The tables: names, keys and TTL attributes in one place, for the store, the tests and the SAM template."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

EXPIRES = "expires"
"""The TTL attribute, Unix seconds."""

BY_DAY = "by_day"
"""An index of whole items, in which those of a day are found together."""
_BY_DAY_KEYS = (("day", "S"), ("place", "S"))


@dataclass(frozen=True, slots=True)
class DynamoTable:
    """One table of a store with prefix PREFIX is called `PREFIX-<name>`; keys are (attribute, type) pairs.

    by_day: whether it has the index BY_DAY (collector.stores.dynamodb.click_days). streams: whether a deployment gives
    it a stream of what is put into it (collector.stores.dynamodb.changes).
    """

    name: str
    partition: tuple[str, str]
    sort: tuple[str, str] | None = None
    ttl: str | None = None
    by_day: bool = False
    streams: bool = False

    def full_name(self, prefix: str) -> str:
        return f"{prefix}-{self.name}"

    def definition(self, prefix: str) -> dict[str, Any]:
        """The arguments of CreateTable, TTL and stream apart."""
        keys = [self.partition, *([self.sort] if self.sort else [])]
        attributes = [*keys, *(_BY_DAY_KEYS if self.by_day else ())]
        definition: dict[str, Any] = {
            "TableName": self.full_name(prefix),
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": name, "AttributeType": kind} for name, kind in attributes],
            "KeySchema": _schema(keys),
        }
        if self.by_day:
            projection = {"ProjectionType": "ALL"}
            index = {"IndexName": BY_DAY, "KeySchema": _schema(_BY_DAY_KEYS), "Projection": projection}
            definition["GlobalSecondaryIndexes"] = [index]
        return definition


def _schema(keys: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": role} for (name, _), role in zip(keys, ("HASH", "RANGE"), strict=False)]


TABLES: tuple[DynamoTable, ...] = (
    DynamoTable("samples", ("truck_id", "S"), ("order_key", "S"), EXPIRES, streams=True),
    DynamoTable("trucks", ("truck_id", "S"), ("part", "S")),
    DynamoTable("truck_history", ("truck_id", "S"), ("order_key", "S")),
    DynamoTable("clicks", ("event_id", "S"), None, EXPIRES, by_day=True),
    DynamoTable("click_counts", ("counter", "S"), ("shard", "N"), by_day=True),
    DynamoTable("dead_letters", ("id", "S"), ("part", "N")),
    DynamoTable("alerts", ("subject", "S"), ("key", "S")),
    DynamoTable("alert_outbox", ("id", "S")),
)


def create_tables(client: Any, prefix: str, *, expiring: bool = True) -> None:
    """Make all tables and wait until they can be used: for tests and trials; a deployment has its template.

    expiring: let DynamoDB delete what has expired; not where a test lives in another year.
    """
    for table in TABLES:
        client.create_table(**table.definition(prefix))
    for table in TABLES:
        name = table.full_name(prefix)
        client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        if table.ttl and expiring:
            client.update_time_to_live(
                TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": table.ttl}
            )
