"""regexp_matches, regexp_replace, regexp_substr. Page: iot-sql-functions.

An invalid pattern or replacement is Undefined. A search that does not come to an end in time is no value: it raises
TooMuch. One search has TIMEOUT, all searches of a statement on one message share its Budget; both are CPU time of this
thread, so that a process that is stopped or waits for a core gives the same results.
"""

import time
from collections.abc import Callable

from iot_rules.errors import TooMuch
from iot_rules.sql.functions.java_regex import TIMEOUT, find, replace_all
from iot_rules.sql.functions.registry import function
from iot_rules.sql.functions.strings import texts
from iot_rules.sql.scope import Scope
from iot_rules.sql.values import MAX_TEXT, UNDEFINED, Value

_LEAST = 1e-6


def _bounded(values: list[Value], scope: Scope, search: Callable[[list[str], float], Value]) -> Value:
    """The search's result; Undefined for arguments that are none. Raises TooMuch where the time is used up."""
    strings, budget = texts(values), scope.budget
    if strings is UNDEFINED:
        return UNDEFINED
    while budget.regexp_seconds > 0:
        allowed, started = min(TIMEOUT, budget.regexp_seconds), time.thread_time()
        try:
            return search(strings, allowed)
        except ValueError:
            return UNDEFINED
        except TimeoutError:
            # The engine counts the CPU time of all threads: only what this one used is the search's own.
            if time.thread_time() - started >= allowed / 2:
                break
        finally:
            budget.regexp_seconds -= max(time.thread_time() - started, _LEAST)
    raise TooMuch("a regular expression takes too long on this message: write one that backtracks less")


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
