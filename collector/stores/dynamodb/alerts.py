"""Alerts and their outbox in the DynamoDB store."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from collector.rows import AlertChange, AlertRow, OutboxMessage
from collector.stores import Conflict
from collector.stores.alert_store import REVISION
from collector.stores.dynamodb.items import Item, number, text
from collector.stores.dynamodb.retries import Calls, ConditionFailed


class DynamoDbAlertReader:
    """The `AlertReader`; strongly consistent."""

    _calls: Calls
    _tables: dict[str, str]
    _scan: Callable[..., Iterator[Item]]
    _get: Callable[[str, Item], Item | None]
    _arguments: Callable[[str, str, Item], Item]

    def alert_rows(self, subject: str | None = None) -> list[AlertRow]:
        if subject is None:
            found = self._scan("alerts")
        else:
            arguments = self._arguments("alerts", "#subject = :subject", {"subject": text(subject)})
            found = self._calls.items("query", **arguments)
        rows = [AlertRow(item["subject"]["S"], item["key"]["S"], item["text"]["S"]) for item in found]
        return sorted(row for row in rows if row.key != REVISION)

    def alert_revision(self, subject: str) -> int:
        item = self._get("alerts", _key(subject, REVISION))
        return int(item["text"]["S"]) if item else 0

    def outbox(self, receiver: str, until_ms: int, most: int) -> list[OutboxMessage]:
        values = {"receiver": text(receiver), "due_ms": number(until_ms)}
        rows = self._scan("alert_outbox", "#receiver = :receiver AND #due_ms <= :due_ms", values)
        return sorted(map(_message, rows), key=lambda each: (each.due_ms, each.id))[:most]

    def outbox_size(self) -> int:
        return sum(1 for _ in self._scan("alert_outbox"))


class DynamoDbAlerts(DynamoDbAlertReader):
    """The `AlertStore`: a change is one transaction, on condition of the subject's revision."""

    def change_alerts(self, change: AlertChange) -> None:
        alerts, outbox = self._tables["alerts"], self._tables["alert_outbox"]
        raised = {**_key(change.subject, REVISION), "text": text(str(change.revision + 1))}
        acts: list[Item] = [{"Put": {"TableName": alerts, "Item": raised, **_at(change.revision)}}]
        acts += [
            {"Put": {"TableName": alerts, "Item": {**_key(change.subject, key), "text": text(document)}}}
            for key, document in change.put.items()
        ]
        acts += [{"Delete": {"TableName": alerts, "Key": _key(change.subject, key)}} for key in change.remove]
        acts += [{"Put": {"TableName": outbox, "Item": _item(message)}} for message in change.messages]
        try:
            self._calls("transact_write_items", TransactItems=acts)
        except ConditionFailed:
            raise Conflict(f"the alerts of {change.subject} were changed by another writer: read them again") from None

    def settle_outbox(self, told: Sequence[str], postponed: Mapping[str, int]) -> None:
        table = self._tables["alert_outbox"]
        for id in told:
            self._calls("delete_item", TableName=table, Key={"id": text(id)})
        for id, due_ms in postponed.items():
            try:
                self._calls(
                    "update_item",
                    TableName=table,
                    Key={"id": text(id)},
                    UpdateExpression="SET due_ms = :due_ms, attempts = attempts + :one",
                    ConditionExpression="attribute_exists(id)",
                    ExpressionAttributeValues={":due_ms": number(due_ms), ":one": number(1)},
                )
            except ConditionFailed:
                continue  # another one told it meanwhile


def _key(subject: str, key: str) -> Item:
    return {"subject": text(subject), "key": text(key)}


def _at(revision: int) -> Item:
    if not revision:
        return {"ConditionExpression": "attribute_not_exists(subject)"}
    return {
        "ConditionExpression": "#text = :was",
        "ExpressionAttributeNames": {"#text": "text"},
        "ExpressionAttributeValues": {":was": text(str(revision))},
    }


def _item(message: OutboxMessage) -> Item:
    return {
        "id": text(message.id),
        "receiver": text(message.receiver),
        "due_ms": number(message.due_ms),
        "attempts": number(message.attempts),
        "text": text(message.text),
    }


def _message(item: Item) -> OutboxMessage:
    return OutboxMessage(
        item["id"]["S"],
        item["receiver"]["S"],
        int(item["due_ms"]["N"]),
        int(item["attempts"]["N"]),
        item["text"]["S"],
    )
