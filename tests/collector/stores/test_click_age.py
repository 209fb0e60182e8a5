"""Old shop events on DynamoDB, where an identity lives 14 days: counted once or refused, never counted twice."""

from typing import Any

import pytest

from contract import timestamps
from contract.ingest_items import Item
from tests.collector.stores.cloud import Cloud
from tests.collector.stores_on_disk import statuses
from tests.contract.examples import RECEIVED_MS, click

DAY = 86_400_000


def _event(days: float, event_id: str = "a") -> dict[str, Any]:
    """One that happened so many days before RECEIVED_MS."""
    return click(event_id=event_id, timestamp=timestamps.from_ms(RECEIVED_MS - int(days * DAY)))


def _take(cloud: Cloud, door: str, record: dict[str, Any]) -> list[str]:
    """With the envelope's time of long ago, as what is put back from where it was given up."""
    return statuses(cloud.ingest.ingest([Item("click", door, record, RECEIVED_MS)]))


def _counted(cloud: Cloud) -> list[int]:
    return [count for _, count in cloud.store.click_counts()]


@pytest.mark.parametrize("door", ["http:clicks", "kinesis:clicks"])
def test_an_event_that_may_have_been_forgotten_is_refused_with_its_reason(cloud: Cloud, door: str) -> None:
    assert _take(cloud, door, _event(1)) == ["accepted"]
    cloud.now += 14.5 * 86_400  # its identity has expired
    assert _take(cloud, door, _event(1)) == ["rejected"]
    assert _counted(cloud) == [1]
    [letter] = cloud.store.dead_letters()
    assert letter.field == "timestamp"
    assert letter.reason.startswith("too_old")


def test_a_repeat_is_a_duplicate_as_long_as_it_can_be_told(cloud: Cloud) -> None:
    assert _take(cloud, "http:clicks", _event(12.9)) == ["accepted"]
    cloud.now += 13 * 86_400
    assert _take(cloud, "http:clicks", _event(12.9)) == ["duplicate"]


def test_a_file_is_taken_at_any_age_and_again_for_ever(cloud: Cloud) -> None:
    assert _take(cloud, "file:clicks", _event(400)) == ["accepted"]
    cloud.now += 300 * 86_400
    assert _take(cloud, "file:clicks", _event(400)) == ["duplicate"]
    assert _counted(cloud) == [1]


def test_what_was_counted_live_and_then_came_in_a_file_is_known_for_ever(cloud: Cloud) -> None:
    assert _take(cloud, "http:clicks", _event(0)) == ["accepted"]
    cloud.now += 5 * 86_400
    assert _take(cloud, "file:clicks", _event(0)) == ["duplicate"]
    cloud.now += 30 * 86_400
    assert _take(cloud, "file:clicks", _event(0)) == ["duplicate"]
    assert _counted(cloud) == [1]


def test_a_delivery_that_takes_the_place_of_one_from_a_file_is_kept_as_long(cloud: Cloud) -> None:
    changed = [{**_event(0), "page": page} for page in ("/a", "/b", "/c")]
    assert _take(cloud, "file:clicks", changed[0]) == ["accepted"]
    assert [_take(cloud, "http:clicks", each) for each in changed[1:]] == [["duplicate"], ["duplicate"]]
    assert ["expires" in item for item in cloud.items("clicks")] == [False]
