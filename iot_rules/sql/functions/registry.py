"""How a function is declared: `@function("name", fewest, most)` on `(values, scope) -> value`.

A call with fewer or more arguments, or arguments of wrong types, is Undefined (page: iot-sql-data-types), so a
function returns UNDEFINED and does not raise. A bound that is reached is no value: it raises TooMuch, and the message
goes to the error action. Functions that call out raise what their resolver raised.
"""

from collections.abc import Callable
from dataclasses import dataclass

from iot_rules.sql.scope import Scope
from iot_rules.sql.values import Value

Apply = Callable[[list[Value], Scope], Value]

ANY = 10_000


@dataclass(frozen=True, slots=True)
class Function:
    """latest_only: not in version 2015-10-08. external: calls out, so it needs a resolver and costs an action."""

    apply: Apply
    fewest: int
    most: int
    latest_only: bool = False
    external: bool = False


FUNCTIONS: dict[str, Function] = {}


def function(
    name: str, fewest: int, most: int, *, latest_only: bool = False, external: bool = False
) -> Callable[[Apply], Apply]:
    """Register a function under its lower-case name."""

    def register(apply: Apply) -> Apply:
        FUNCTIONS[name] = Function(apply, fewest, most, latest_only, external)
        return apply

    return register
