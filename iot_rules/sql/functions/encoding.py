"""encode and decode in base64. Page: iot-sql-functions. Decoding Protobuf is not supported (validation.py)."""

import base64
import binascii

from iot_rules.sql.functions.registry import function
from iot_rules.sql.scope import Scope
from iot_rules.sql.tree import ORIGINAL
from iot_rules.sql.values import UNDEFINED, Value, parse_json, to_text


@function("encode", 2, 2, latest_only=True)
def _encode(values: list[Value], scope: Scope) -> Value:
    """encode(value, 'base64'); encode(*, 'base64') is of the payload's bytes as they came.

    Page: iot-sql-encode-payload.
    """
    if values[1] != "base64":
        return UNDEFINED
    raw = values[0]
    if not isinstance(raw, bytes):
        text = to_text(raw)
        if text is UNDEFINED:
            return UNDEFINED
        raw = text.encode("utf-8", "replace")
    return base64.b64encode(raw).decode("ascii")


@function("decode", 2, 2, latest_only=True)
def _decode(values: list[Value], scope: Scope) -> Value:
    """decode(value, 'base64'): the JSON it holds, else its text, else Null. Page: iot-sql-decode-base64."""
    text = to_text(values[0])
    if text is UNDEFINED or values[1] != "base64":
        return None if values[0] is None else UNDEFINED
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None
    parsed = parse_json(decoded, whole_as_int=scope.version != ORIGINAL)
    return decoded if parsed is UNDEFINED else parsed
