"""What collector/stores/alert_store.py promises of every `Store`: alerts change by whole acts, and wait to be told."""

import pytest

from collector.rows import AlertChange, AlertRow, OutboxMessage
from collector.stores import Conflict, Store


def message(id: str, due_ms: int) -> OutboxMessage:
    return OutboxMessage(id, "ops", due_ms, 0, "{}")


def test_a_change_is_whole_or_not_at_all(store: Store) -> None:
    first = AlertChange("T1", 0, {"a": "1", "b": "2"}, messages=[message("m", 5)])
    with store.unit():
        store.change_alerts(first)
    with store.unit():
        store.change_alerts(AlertChange("T1", 1, {"c": "3"}, ["a"]))
        store.change_alerts(AlertChange("T2", 0, {"a": "9"}))
    expected = [AlertRow("T1", "b", "2"), AlertRow("T1", "c", "3")]
    with pytest.raises(Conflict), store.unit():
        store.change_alerts(AlertChange("T1", 1, {"b": "late"}, messages=[message("n", 5)]))
    assert store.alert_rows("T1") == expected
    assert store.alert_rows() == [*expected, AlertRow("T2", "a", "9")]
    assert (store.alert_revision("T1"), store.alert_revision("T3"), store.outbox_size()) == (2, 0, 1)


def test_a_message_waits_until_it_is_told(store: Store) -> None:
    with store.unit():
        store.change_alerts(AlertChange("T1", 0, messages=[message("x", 30), message("y", 10), message("z", 20)]))
    assert [each.id for each in store.outbox("ops", 25, 10)] == ["y", "z"]
    assert [each.id for each in store.outbox("ops", 25, 1)] == ["y"]
    assert store.outbox("others", 99, 10) == []
    with store.unit():
        store.settle_outbox(["y"], {"z": 90, "told by another": 90})
    assert [(each.id, each.due_ms, each.attempts) for each in store.outbox("ops", 99, 10)] == [
        ("x", 30, 0),
        ("z", 90, 1),
    ]
