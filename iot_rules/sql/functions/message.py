"""What is known about the message and the rule: topic, timestamp, clientid, … Page: iot-sql-functions."""

from iot_rules.sql.functions.registry import function
from iot_rules.sql.scope import Scope
from iot_rules.sql.tree import LATEST
from iot_rules.sql.values import UNDEFINED, Value, to_int

_PROPERTIES = ("content_type", "format_indicator", "response_topic", "correlation_data")


@function("topic", 0, 1)
def _topic(values: list[Value], scope: Scope) -> Value:
    """topic() whole, topic(n) the n-th level from 1; without a Basic Ingest prefix. Page: iot-function-topic."""
    topic = scope.arrival.topic
    if not values:
        return topic
    at = to_int(values[0])
    levels = topic.split("/")
    return levels[at - 1] if at is not UNDEFINED and 1 <= at <= len(levels) else UNDEFINED


@function("timestamp", 0, 0)
def _timestamp(values: list[Value], scope: Scope) -> Value:
    """timestamp(): ms since 1970 as the rules engine saw it. Page: iot-function-timestamp."""
    return scope.arrival.message.timestamp_ms


@function("clientid", 0, 0)
def _clientid(values: list[Value], scope: Scope) -> Value:
    """clientid(): "n/a" if not sent over MQTT. Page: iot-sql-function-clientid."""
    client_id = scope.arrival.message.client_id
    return "n/a" if client_id is None else client_id


@function("accountid", 0, 0)
def _accountid(values: list[Value], scope: Scope) -> Value:
    """accountid(): of the rule's owner. Page: iot-sql-function-accountid."""
    return scope.arrival.surroundings.account_id


@function("principal", 0, 0)
def _principal(values: list[Value], scope: Scope) -> Value:
    """principal(): certificate thumbprint or user. Page: iot-sql-function-principal."""
    return _given(scope.arrival.message.principal)


@function("traceid", 0, 0)
def _traceid(values: list[Value], scope: Scope) -> Value:
    """traceid(): Undefined if not sent over MQTT. Page: iot-sql-function-traceid."""
    return _given(scope.arrival.message.trace_id)


@function("sourceip", 0, 0, latest_only=True)
def _sourceip(values: list[Value], scope: Scope) -> Value:
    """sourceip(): of the device or its router. Page: iot-sql-function-sourceip."""
    return _given(scope.arrival.message.source_ip)


@function("newuuid", 0, 0)
def _newuuid(values: list[Value], scope: Scope) -> Value:
    """newuuid(): random, 16 bytes. Page: iot-sql-function-newuuid."""
    return scope.arrival.surroundings.new_uuid()


@function("sql_version", 0, 0)
def _sql_version(values: list[Value], scope: Scope) -> Value:
    """sql_version(): as the rule says; beta runs as the latest. Page: iot-sql-function-sql-version."""
    return scope.version or LATEST


@function("get_mqtt_property", 1, 1, latest_only=True)
def _get_mqtt_property(values: list[Value], scope: Scope) -> Value:
    """get_mqtt_property(name): one of four headers of MQTT 5. Page: iot-sql-function-get-mqtt-property."""
    if values[0] not in _PROPERTIES:
        return UNDEFINED
    return scope.arrival.message.properties.get(values[0], UNDEFINED)


@function("get_user_properties", 0, 1, latest_only=True)
def _get_user_properties(values: list[Value], scope: Scope) -> Value:
    """get_user_properties(): an Array of one-key Objects; (key): an Array of that key's values, else Undefined.

    Page: iot-sql-function-get-user-properties.
    """
    pairs = scope.arrival.message.user_properties
    if not values:
        return [{key: value} for key, value in pairs] if pairs else UNDEFINED
    found = [value for key, value in pairs if key == values[0]]
    return found or UNDEFINED


def _given(value: str | None) -> Value:
    return UNDEFINED if value is None else value
