"""A collector on DynamoDB, in tables of its own."""

from itertools import count
from typing import Any

from collector.history import TrackingPolicy
from collector.ingest import Ingest, vouch_for_policy
from collector.stores.dynamodb import TABLES, DynamoDbStore, create_tables, items
from collector.stores.dynamodb.lean_client import lean
from contract import timestamps
from tests import ministack
from tests.collector.stores_on_disk import Collector
from tests.contract.examples import RECEIVED_MS

_numbers = count()


class Cloud(Collector):
    """As a Lambda function holds it. `client` is metered; `now`, Unix seconds, is what the store's clock says."""

    def __init__(self, policy: TrackingPolicy | None = None, client: Any = None) -> None:
        real = ministack.client(ministack.shared())
        self.prefix = f"cloud-{next(_numbers)}"
        create_tables(real, self.prefix, expiring=False)
        self.client = ministack.Metered(client or lean(real))
        self.now = RECEIVED_MS / 1000
        self.store: Any = self.opened()
        self.policy = policy or TrackingPolicy.of()
        vouch_for_policy(self.store, self.policy)
        self.ingest = Ingest(self.store, self.policy)
        self.client.take()

    def opened(self, client: Any = None) -> DynamoDbStore:
        """The store as another process would open it."""
        return DynamoDbStore(self.prefix, client or self.client, clock=lambda: self.now)

    def items(self, table: str) -> list[dict[str, Any]]:
        """What a table holds, as it is stored."""
        found: list[dict[str, Any]] = self.client.scan(TableName=f"{self.prefix}-{table}")["Items"]
        return found

    def grow(self, truck_id: str, from_ms: int, count: int, every_ms: int) -> None:
        """Give a truck so many versions before its first, straight into the table: what reading costs does not depend
        on who wrote them."""
        [body, *_] = self.items("truck_history")
        body.pop("first", None)
        before = None
        for first in range(0, count, 25):
            requests = []
            for number in range(first, min(first + 25, count)):
                order_key = f"{timestamps.from_ms(from_ms + number * every_ms)}#s#{number:019d}#c"
                known = {"truck_id": {"S": truck_id}, "order_key": {"S": order_key}}
                requests.append({"PutRequest": {"Item": {**body, **known, **items.place_in_chain(before)}}})
                before = order_key
            self.client.batch_write_item(RequestItems={f"{self.prefix}-truck_history": requests})
        assert self.store.version_at(truck_id, timestamps.from_ms(from_ms)) is not None
        self.client.take()

    def close(self) -> None:
        super().close()
        real = ministack.client(ministack.shared())
        for table in TABLES:
            real.delete_table(TableName=table.full_name(self.prefix))
