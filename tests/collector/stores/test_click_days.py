"""Views of shop events on DynamoDB read the index by day, and never a whole table."""

from random import Random
from typing import Any

from collector.history import TrackingPolicy
from collector.rebuild import rebuild
from collector.stores.dynamodb import DynamoDbStore
from tests.collector.stores.cloud import Cloud
from tests.contract.examples import RECEIVED_MS
from tests.promises.click_views import DAY_MS, anew, shop_event, shop_events, spans, views


def test_dynamodb_answers_without_a_scan_also_after_an_upgrade(cloud: Cloud) -> None:
    """Tables of an earlier release have no days in them: all is read as then, until `rebuild` has put them there."""
    events = shop_events(40, RECEIVED_MS, Random(3))
    cloud.store.put_clicks(events)
    chosen = spans(RECEIVED_MS)[::3]
    expected = [anew(events, *span) for span in chosen]
    assert [views(_without_scans(cloud), *span) for span in chosen] == expected
    _make_old(cloud)
    old = [views(cloud.opened(), *span) for span in chosen]
    assert [_but_robots(each) for each in old] == [_but_robots(each) for each in expected]
    rebuild(cloud.opened(), TrackingPolicy.of())
    assert [views(_without_scans(cloud), *span) for span in chosen] == expected
    cloud.store.put_clicks([shop_event("late", RECEIVED_MS - 4 * DAY_MS, Random(4))])
    assert len(list(cloud.opened().purchases())) == len([*cloud.store.purchases()])


class _NoScans:
    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, operation: str) -> Any:
        assert operation != "scan"
        return getattr(self._client, operation)


def _without_scans(cloud: Cloud) -> DynamoDbStore:
    return cloud.opened(_NoScans(cloud.client))


def _make_old(cloud: Cloud) -> None:
    for table in ("clicks", "click_counts"):
        for item in cloud.items(table):
            kept = {name: value for name, value in item.items() if name not in ("day", "place", "bots")}
            cloud.client.put_item(TableName=f"{cloud.prefix}-{table}", Item=kept)
    for item in cloud.items("trucks"):
        if item["truck_id"]["S"] == "#clicks":
            key = {name: item[name] for name in ("truck_id", "part")}
            cloud.client.delete_item(TableName=f"{cloud.prefix}-trucks", Key=key)


def _but_robots(views: dict[str, Any]) -> dict[str, Any]:
    """The counters of before did not tell robots apart."""
    return {**views, **{name: {row[:-1] for row in views[name]} for name in ("items", "minutes")}}
