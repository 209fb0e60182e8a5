"""The cloud's store: DynamoDB, any number of writers, no lock (docs/decisions/0005-history-on-dynamodb.md).

What stands in for SQLite's transaction: samples are put first, each under its own condition; a truck's head, versions
and ledgers then change in one act that holds only if the head's `rev` is still the one that the plan was made with.

DynamoDB's queries are no snapshot: while another's transaction is being carried out they may show some of its items
as they are now and some as they were. So every version that a plan was made from carries the `rev` of the act that
last touched it or what precedes it, and is read once more, with the head, in one TransactGetItems before the plan is
applied; had anything been half-way, that fails, and the caller reads again (docs/decisions/0005).

A version does not say where it ends, since that is where the next one begins: so a version that opens is one item
beside the head, and the one before it is not written.
"""

from collector.stores.dynamodb.reader import DynamoDbReader
from collector.stores.dynamodb.store import DynamoDbStore
from collector.stores.dynamodb.tables import TABLES, DynamoTable, create_tables

__all__ = ["TABLES", "DynamoDbReader", "DynamoDbStore", "DynamoTable", "create_tables"]
