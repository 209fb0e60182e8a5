"""Arrays and Objects: get, transform. Page: iot-sql-functions."""

from iot_rules.sql.functions.registry import function
from iot_rules.sql.scope import Scope
from iot_rules.sql.values import UNDEFINED, Value, dump, to_int

_MAX_ENRICHED = 128 * 1024


@function("get", 2, 2)
def _get(values: list[Value], scope: Scope) -> Value:
    """get(collection, key): item of an Array, character of a String, value of an Object.

    Indexes are 0-based; outside the bounds is Undefined. Page: iot-sql-function-get.
    """
    owner, key = values
    if isinstance(owner, dict):
        return owner.get(key, UNDEFINED) if isinstance(key, str) else UNDEFINED
    at = to_int(key)
    if not isinstance(owner, list | str) or at is UNDEFINED:
        return UNDEFINED
    return owner[at] if 0 <= at < len(owner) else UNDEFINED


@function("transform", 3, 3, latest_only=True)
def _transform(values: list[Value], scope: Scope) -> Value:
    """transform("enrichArray", Object, Array of Objects): each element with the Object's attributes added.

    At most 128 KiB. The page does not say who wins a common key: here the Object, which enriches. Page:
    iot-func-transform.
    """
    mode, attributes, elements = values
    if mode != "enrichArray" or not isinstance(attributes, dict) or not isinstance(elements, list):
        return UNDEFINED
    if not all(isinstance(element, dict) for element in elements):
        return UNDEFINED
    if len(elements) * len(dump(attributes)) > 2 * _MAX_ENRICHED:
        return UNDEFINED
    enriched = [{**element, **attributes} for element in elements]
    return enriched if len(dump(enriched)) <= _MAX_ENRICHED else UNDEFINED
