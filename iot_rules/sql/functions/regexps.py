"""regexp_matches, regexp_replace, regexp_substr. Page: iot-sql-functions.

An invalid pattern or replacement is Undefined, and so is a search that does not come to an end in time: one search has
TIMEOUT, and all searches of a statement on one message share its Budget.
"""

import time
from collections.abc import Callable

from iot_rules.sql.functions.java_regex import TIMEOUT, find, replace_all
from iot_rules.sql.functions.registry import function
from iot_rules.sql.functions.strings import texts
from iot_rules.sql.scope import Scope
from iot_rules.sql.values import MAX_TEXT, UNDEFINED, Value


def _bounded(values: list[Value], scope: Scope, search: Callable[[list[str], float], Value]) -> Value:
    strings, budget = texts(values), scope.budget
    if strings is UNDEFINED or budget.regexp_seconds <= 0:
        return UNDEFINED
    started = time.monotonic()
    try:
        return search(strings, min(TIMEOUT, budget.regexp_seconds))
    except (TimeoutError, ValueError):
        return UNDEFINED
    finally:
        budget.regexp_seconds -= time.monotonic() - started


@function("regexp_matches", 2, 2)
def _matches(values: list[Value], scope: Scope) -> Value:
    """regexp_matches(String, regex): whether the String contains a match. Page: iot-func-regex-matches."""
    return _bounded(values, scope, lambda given, timeout: find(given[1], given[0], timeout) is not None)


@function("regexp_substr", 2, 2)
def _substr(values: list[Value], scope: Scope) -> Value:
    """regexp_substr(String, regex): the first match; Undefined if there is none. Page: iot-func-regex-substr."""

    def search(given: list[str], timeout: float) -> Value:
        match = find(given[1], given[0], timeout)
        return UNDEFINED if match is None else match.group()

    return _bounded(values, scope, search)


@function("regexp_replace", 3, 3)
def _replace(values: list[Value], scope: Scope) -> Value:
    """regexp_replace(String, regex, replacement): all matches; groups as $1. Page: iot-func-regex-replace."""
    return _bounded(values, scope, lambda given, timeout: replace_all(given[1], given[0], given[2], MAX_TEXT, timeout))
