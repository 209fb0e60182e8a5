"""The store and ingest of a function, built on first use from the rooms' settings."""

from functools import cache

from collector.history import TrackingPolicy
from collector.ingest import Ingest, vouch_for_policy
from collector.settings import CollectorSettings
from collector.stores import Store
from collector.stores.dynamodb.markers import DynamoDbForgotten
from collector.stores.factory import open_store
from contract.forgotten import Forgotten
from contract.settings import load


@cache
def settings() -> CollectorSettings:
    """`[collector]`: MILEPOST_STORE, MILEPOST_TRACK, MILEPOST_COLLECTOR__RESEND_AFTER."""
    return load("collector", CollectorSettings)


@cache
def store() -> Store:
    """The one store of this process."""
    return open_store(settings().store_url)


@cache
def ingest() -> Ingest:
    """The one ingest of this process; Misconfigured where the store's history was made with another policy."""
    policy = TrackingPolicy.of(settings().track)
    vouch_for_policy(store(), policy)
    return Ingest(store(), policy, forgotten=forgotten())


@cache
def forgotten() -> Forgotten | None:
    """What must stay forgotten; None where the store in use is no table, and its process has markers of its own."""
    kind, _, prefix = settings().store_url.partition("://")
    return DynamoDbForgotten(prefix) if kind == "dynamodb" else None
