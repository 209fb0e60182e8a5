"""A collector on DynamoDB, in tables of its own."""

from itertools import count
from typing import Any

from collector.history import Policy
from collector.ingest import Ingest, vouch_for_policy
from collector.stores.dynamodb import TABLES, DynamoDbStore, create_tables
from tests import ministack
from tests.collector.stores_on_disk import Collector
from tests.contract.examples import RECEIVED_MS

_numbers = count()


class Cloud(Collector):
    """As a Lambda function holds it. `client` is metered; `now`, Unix seconds, is what the store's clock says."""

    def __init__(self, policy: Policy | None = None, client: Any = None) -> None:
        real = ministack.client(ministack.shared())
        self.prefix = f"cloud-{next(_numbers)}"
        create_tables(real, self.prefix, expiring=False)
        self.client = ministack.Metered(client or real)
        self.now = RECEIVED_MS / 1000
        self.store: Any = self.opened()
        self.policy = policy or Policy.of()
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

    def close(self) -> None:
        super().close()
        real = ministack.client(ministack.shared())
        for table in TABLES:
            real.delete_table(TableName=table.full_name(self.prefix))
