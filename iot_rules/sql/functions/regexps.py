"""regexp_matches, regexp_replace, regexp_substr. Page: iot-sql-functions.

An invalid pattern or replacement, and a pattern that does not come to an end in time, are Undefined.
"""

from iot_rules.sql.functions.java_regex import find, replace_all
from iot_rules.sql.functions.registry import function
from iot_rules.sql.functions.strings import texts
from iot_rules.sql.scope import Scope
from iot_rules.sql.values import MAX_TEXT, UNDEFINED, Value


@function("regexp_matches", 2, 2)
def _matches(values: list[Value], scope: Scope) -> Value:
    """regexp_matches(String, regex): whether the String contains a match. Page: iot-func-regex-matches."""
    strings = texts(values)
    if strings is UNDEFINED:
        return UNDEFINED
    try:
        return find(strings[1], strings[0]) is not None
    except (TimeoutError, ValueError):
        return UNDEFINED


@function("regexp_substr", 2, 2)
def _substr(values: list[Value], scope: Scope) -> Value:
    """regexp_substr(String, regex): the first match; Undefined if there is none. Page: iot-func-regex-substr."""
    strings = texts(values)
    if strings is UNDEFINED:
        return UNDEFINED
    try:
        match = find(strings[1], strings[0])
    except (TimeoutError, ValueError):
        return UNDEFINED
    return UNDEFINED if match is None else match.group()


@function("regexp_replace", 3, 3)
def _replace(values: list[Value], scope: Scope) -> Value:
    """regexp_replace(String, regex, replacement): all matches; groups as $1. Page: iot-func-regex-replace."""
    strings = texts(values)
    if strings is UNDEFINED:
        return UNDEFINED
    try:
        return replace_all(strings[1], strings[0], strings[2], MAX_TEXT)
    except (TimeoutError, ValueError):
        return UNDEFINED
